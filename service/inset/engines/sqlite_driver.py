"""aiosqlite that goes to its connection's thread only with what may take long.

The way there and back costs more than a short statement, and on a busy machine it is most of what a small request
waits for. What can block does go: waiting for the writer's lock, a commit that reaches the disk, large values.
"""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import aiosqlite

LARGE = "/* large */"
"""Stands, by `prefix_with`, at the head of a query whose rows may hold megabytes."""

_LARGE_VALUES = 64 * 1024
"""Bytes that are handed over and written in about the time of the way to the thread."""

Rows = list[tuple[Any, ...]]


class _Cursor:
    """What SQLAlchemy's adapter asks of a cursor: it executes, fetches all there is, and closes, as one step."""

    arraysize = 1

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._rows: Rows = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> "_Cursor":
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> None:
        await self._execute(sqlite3.Cursor.execute, statement, parameters, size=_size(parameters))

    async def executemany(self, statement: str, parameters: Any) -> None:
        await self._execute(sqlite3.Cursor.executemany, statement, parameters, size=sum(map(_size, parameters)))

    async def fetchall(self) -> Rows:
        return self._rows

    async def close(self) -> None:
        """It is closed already."""

    async def _execute(self, how: Any, statement: str, parameters: Any, *, size: int) -> None:
        long = size > _LARGE_VALUES or statement.startswith(("BEGIN IMMEDIATE", "PRAGMA")) or LARGE in statement
        await self._connection.do(lambda: self._run(how, statement, parameters), long=long)

    def _run(self, how: Any, statement: str, parameters: Any) -> None:
        cursor = self._connection.cursor_here()
        try:
            how(cursor, statement, parameters)
            self.description = cursor.description
            self._rows = cursor.fetchall() if cursor.description else []
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()


class _Connection(aiosqlite.Connection):
    _asked = _done = _changes = 0
    """How often the thread was asked for something, by the loop, and has done it; the changes that are committed."""

    def cursor(self) -> Any:
        return _Cursor(self)

    async def do(self, work: Callable[[], object], *, long: bool) -> None:
        """Do it here, unless it may take long or the thread is still at what a cancelled request has left it."""
        if long or self._asked != self._done:
            await self._execute(work)
        else:
            work()

    async def commit(self) -> None:
        changes = self.total_changes
        await self.do(self._conn.commit, long=changes != self._changes)
        self._changes = changes

    async def rollback(self) -> None:
        await self.do(self._conn.rollback, long=self.total_changes != self._changes)
        self._changes = self.total_changes

    def cursor_here(self) -> sqlite3.Cursor:
        return self._conn.cursor()

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        def counted() -> Any:
            try:
                return fn(*args, **kwargs)
            finally:
                self._done += 1

        self._asked += 1
        return await super()._execute(counted)  # type: ignore[no-untyped-call]


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """Connect as `aiosqlite.connect` does."""
    # Two threads may use it, one at a time.
    options["check_same_thread"] = False
    connection = _Connection(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    # As SQLAlchemy does it: a process may end without having closed.
    connection._thread.daemon = True
    return connection


def _size(values: Iterable[Any]) -> int:
    return sum(len(value) for value in values if isinstance(value, bytes | str))
