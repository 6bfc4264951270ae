"""A whole database in one file, which is read back into an empty one of either kind.

The file is one zstd frame. In it: a line of JSON that says what it is; for each table a line with its name and columns,
then a line for each row, an array. Where a row holds bytes it says how many, as in `{"bytes": 4711}`, and they follow
the line as they are. The last line counts the rows of each table, and tells the last ids that were given.
"""

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from backports import zstd
from sqlalchemy import JSON, Column, DateTime, LargeBinary, Table, TableClause, column, insert, select, table
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import Database
from inset.engines.counters import go_on_after, has_counter, last_id
from inset.schema import newest_schema

_FORMAT = {"format": "inset-export", "format_version": 1}
_BATCH_ROWS = 500
_BATCH_BYTES = 8 * 1024 * 1024

_Stream = BinaryIO | zstd.ZstdFile

Told = Callable[[str], None]
"""Hears how far it is."""


async def export_database(database: Database, file: Path, *, overwrite: bool = False, told: Told) -> None:
    """Write one state of the whole database to a file that its owner alone can read: it holds the hosts' secrets.

    No more than a row is in memory at once. Raises `FileExistsError` unless told to overwrite; a file that could not
    be finished is not there.
    """
    async with database.transaction(read_only=True) as db:
        with _written(file, overwrite=overwrite) as out:
            _line(out, {**_FORMAT, "schema": newest_schema(), "made_at": now().isoformat()})
            counts = {}
            for source in SQLModel.metadata.sorted_tables:
                counts[source.name] = 0
                _line(out, {"table": source.name, "columns": [one.name for one in source.columns]})
                async for row in _rows(db, source):
                    _write_row(out, row)
                    counts[source.name] += 1
                    told(f"{source.name}: {counts[source.name]:,} rows")
            counted = [source for source in SQLModel.metadata.sorted_tables if has_counter(source)]
            last_ids = {source.name: await last_id(db, source) for source in counted}
            _line(out, {"rows": counts, "last_ids": last_ids})


async def import_database(database: Database, file: Path, *, told: Told) -> None:
    """Read an exported file into a database that is at the newest schema and empty: all of it, or nothing.

    Raises `ValueError` if the database holds anything, or for a file that is damaged or of another schema.
    """
    tables = {one.name: one for one in SQLModel.metadata.sorted_tables}
    async with database.transaction() as db:
        for one in tables.values():
            if (await db.exec(select(one).limit(1))).first() is not None:  # type: ignore[call-overload]
                raise ValueError(f"the database is not empty: there are rows in {one.name}")
        try:
            with zstd.open(file, "rb") as source:
                last_ids = await _read(db, source, tables, told)
        except (EOFError, KeyError, json.JSONDecodeError, UnicodeDecodeError, zstd.ZstdError) as exc:
            raise ValueError(f"{file} is damaged, or no export of Inset's") from exc
        for name, id in last_ids.items():
            await go_on_after(db, tables[name], id)


async def _read(db: AsyncSession, source: _Stream, tables: dict[str, Table], told: Told) -> dict[str, int]:
    head = _json(source)
    if not isinstance(head, dict) or {name: head.get(name) for name in _FORMAT} != _FORMAT:
        raise KeyError("format")
    if head["schema"] != newest_schema():
        raise ValueError(
            f"the file is of schema {head['schema']}, and this is Inset for schema {newest_schema()}: "
            "import it with the Inset that wrote it, and upgrade then"
        )
    counts: dict[str, int] = {}
    batch: _Batch | None = None
    while True:
        line = _json(source)
        if isinstance(line, list) and batch:
            counts[batch.name] += 1
            await batch.add(line, source)
            told(f"{batch.name}: {counts[batch.name]:,} rows")
            continue
        if batch:
            await batch.flush()
        if "rows" in line:
            if line["rows"] != counts or source.read(1):
                raise EOFError
            return dict(line["last_ids"])
        batch = _Batch(await db.connection(), tables[line["table"]], line["columns"])
        counts[batch.name] = 0


class _Batch:
    """Rows on their way into a table."""

    def __init__(self, connection: AsyncConnection, target: Table, columns: list[str]) -> None:
        self.name = target.name
        self._connection = connection
        self._columns = [target.columns[name] for name in columns]
        self._insert = insert(_as_written(target))
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    async def add(self, values: list[Any], source: _Stream) -> None:
        if len(values) != len(self._columns):
            raise EOFError
        row = {}
        for of, value in zip(self._columns, values, strict=True):
            if value is not None and _is(of, DateTime):
                value = datetime.fromisoformat(value)
            elif value is not None and _is(of, LargeBinary):
                value = _exactly(source, value["bytes"])
                self._bytes += len(value)
            row[of.name] = value
        self._rows.append(row)
        if len(self._rows) >= _BATCH_ROWS or self._bytes >= _BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        if self._rows:
            await self._connection.execute(self._insert, self._rows)
        self._rows, self._bytes = [], 0


def _as_written(target: Table) -> TableClause:
    """Give a table without its defaults, whose nothing is NULL in JSON columns too."""
    types = {one.name: JSON(none_as_null=True) if _is(one, JSON) else one.type for one in target.columns}
    return table(target.name, *[column(name, kind) for name, kind in types.items()])


def _is(one: Column[Any], kind: type[TypeEngine[Any]]) -> bool:
    return isinstance(one.type.impl_instance if isinstance(one.type, TypeDecorator) else one.type, kind)


async def _rows(db: AsyncSession, source: Table) -> AsyncIterator[Any]:
    heavy = any(_is(one, LargeBinary) for one in source.columns)
    wanted = select(source).order_by(*source.primary_key.columns)
    connection = await db.connection()
    rows = await connection.stream(wanted.execution_options(yield_per=1 if heavy else _BATCH_ROWS))
    async for row in rows:
        yield row


def _write_row(out: _Stream, row: Any) -> None:
    values = [bytes(value) if isinstance(value, memoryview) else value for value in row]
    _line(out, [_written_value(value) for value in values])
    for value in values:
        if isinstance(value, bytes):
            out.write(value)


def _written_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    return value.isoformat() if isinstance(value, datetime) else value


def _exactly(source: _Stream, size: int) -> bytes:
    pieces = []
    while size and (piece := source.read(size)):
        pieces.append(piece)
        size -= len(piece)
    if size:
        raise EOFError
    return b"".join(pieces)


def _line(out: _Stream, content: Any) -> None:
    out.write(json.dumps(content, separators=(",", ":")).encode() + b"\n")


def _json(source: _Stream) -> Any:
    line = source.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return json.loads(line)


@contextmanager
def _written(file: Path, *, overwrite: bool) -> Iterator[_Stream]:
    """Open a file that appears under its name when all is in it and on the disk."""
    if not overwrite:
        file.touch(0o600, exist_ok=False)  # its name is taken from here on
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    options: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1}
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as raw:
            with zstd.open(raw, "wb", options=options) as out:
                yield out
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        if not overwrite:
            file.unlink()
        raise
