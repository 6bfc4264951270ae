"""Rows for every table there is, whatever it is: for tests of what must hold for all that is stored."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Enum, Table, insert, select
from sqlmodel import SQLModel

import inset.models  # noqa: F401  (fills SQLModel.metadata)
from inset.db import open_database
from inset.store.compression import pack

_VALUES: dict[type, Any] = {
    bool: False,
    int: 7,
    datetime: datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
    object: {"text": "ünï 𝒳 \u0000", "list": [1, 2.5, None, True]},
}
_READABLE: dict[tuple[str, str], Any] = {
    ("bodies", "format"): "whole",
    ("bodies", "base"): None,
    ("blobs", "format"): "quick",
    ("blobs", "content"): pack(b"a piece"),
    ("bodies", "data_key"): None,
    ("blobs", "data_key"): None,
    ("hosts", "store_key"): bytes(32),
}
"""By table and column: what the way back to an older schema has to read."""


_ONLY_THE_LEAST = {"blob_bases"}
"""Where two rows would stand on each other."""


async def fill(url: str) -> None:
    """Put two rows into each table: one with everything, and one with nothing where that is allowed."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for table in SQLModel.metadata.sorted_tables:
        full = {column.name: _value(column, rows, 0) for column in table.columns}
        least = {column.name: None if column.nullable else _value(column, rows, 1) for column in table.columns}
        rows[table.name] = [least] if table.name in _ONLY_THE_LEAST else [full, least]
    async with open_database(url) as database, database.transaction() as db:
        connection = await db.connection()
        for table in SQLModel.metadata.sorted_tables:
            for row in rows[table.name]:
                await connection.execute(insert(table).values(**row))


async def everything(url: str) -> dict[str, Sequence[Any]]:
    """Read all that is in a database, by table and in a steady order."""
    async with open_database(url) as database, database.transaction(read_only=True) as db:
        connection = await db.connection()
        return {table.name: await _all(connection, table) for table in SQLModel.metadata.sorted_tables}


async def _all(connection: Any, table: Table) -> Sequence[Any]:
    rows = (await connection.execute(select(table))).all()
    return sorted((tuple(row) for row in rows), key=lambda row: repr(row))


def _value(column: Column[Any], rows: dict[str, list[dict[str, Any]]], number: int) -> Any:
    if (column.table.name, column.name) in _READABLE:
        return _READABLE[column.table.name, column.name]
    if (column.table.name, column.name) == ("blobs", "host_id"):
        return rows["hosts"][0]["id"]  # one, so that the second can stand on the first
    if (column.table.name, column.name) == ("blob_bases", "base"):
        return rows["blobs"][0]["key"]
    for key in column.foreign_keys:
        return rows[key.column.table.name][number][key.column.name]
    if isinstance(column.type, Enum):
        return column.type.enums[0]
    kind = getattr(column.type, "impl_instance", column.type).python_type
    if kind is bytes and column.primary_key:
        return os.urandom(32)
    if kind is bytes:
        return os.urandom(300_000) + b"\n\0"
    if kind is str:
        return f"{column.name[:6]}-{number}"
    return _VALUES[kind] + number if kind is int else _VALUES[kind]
