"""aiosqlite, with one way to its thread and back for each statement instead of four.

On a busy machine that way is most of what a small save costs. SQLAlchemy opens a cursor for each statement, executes
it, fetches all there is, and closes it: here that is one piece of work for the connection's thread.
"""

import sqlite3
from typing import Any

import aiosqlite

Rows = list[tuple[Any, ...]]


class _Cursor:
    """What SQLAlchemy's adapter asks of a cursor."""

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
        await self._connection.one_way(self._run, sqlite3.Cursor.execute, statement, parameters)

    async def executemany(self, statement: str, parameters: Any) -> None:
        await self._connection.one_way(self._run, sqlite3.Cursor.executemany, statement, parameters)

    async def fetchall(self) -> Rows:
        return self._rows

    async def close(self) -> None:
        """It is closed already."""

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
    def cursor(self) -> Any:
        return _Cursor(self)

    async def one_way(self, work: Any, *args: Any) -> None:
        await self._execute(work, *args)  # type: ignore[no-untyped-call]

    def cursor_here(self) -> sqlite3.Cursor:
        return self._conn.cursor()


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """Connect as `aiosqlite.connect` does."""
    connection = _Connection(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    # As SQLAlchemy does it: a process may end without having closed.
    connection._thread.daemon = True
    return connection
