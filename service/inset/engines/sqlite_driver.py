"""aiosqlite that goes to its connection's thread only with what may take long.

The way there and back costs more than a short statement, and on a busy machine it is most of what a small request
waits for. What can block does go: waiting for the writer's lock where somebody has it, a commit that reaches the disk,
large values.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar, cast

import aiosqlite
from aiosqlite.core import _STOP_RUNNING_SENTINEL

LARGE = "/* large */"
"""Stands, by `prefix_with`, at the head of a query whose rows may hold megabytes."""

WAITS = 15_000
"""Milliseconds that a writer waits for another."""

_LARGE_VALUES = 64 * 1024
"""Bytes that are handed over and written in about the time of the way to the thread."""

_SIZED = (bytes, str)

Rows = list[tuple[Any, ...]]
Done = TypeVar("Done")


class _Cursor:
    """What SQLAlchemy's adapter asks of a cursor: it executes, fetches all there is, and closes, as one step."""

    arraysize = 1

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._rows: Rows = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> "_Cursor":
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> None:
        await self._run(statement, parameters)

    async def executemany(self, statement: str, parameters: Any) -> None:
        await self._run(statement, parameters, many=True)

    async def fetchall(self) -> Rows:
        return self._rows

    async def close(self) -> None:
        """It is closed already."""

    async def _run(self, statement: str, parameters: Any, *, many: bool = False) -> None:
        def told(cursor: sqlite3.Cursor) -> None:
            self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid

        self._rows = await self._connection.run(statement, parameters, many=many, told=told)


class Connection(aiosqlite.Connection):
    """One that can be asked on the event loop and in its thread, one at a time."""

    _durable = True
    """Whether its commits wait for the disk, as `sqlite.py` has configured it."""
    _asked = _done = _changes = 0
    """How often the thread was asked for something, by the loop, and has done it; the changes that are committed."""

    _stopped = False

    def cursor(self) -> Any:
        """Give a cursor to SQLAlchemy."""
        return _Cursor(self)

    def stop(self) -> None:
        """End the thread, once, and have nobody wait for it.

        SQLAlchemy stops a connection that is just closing if whoever closes it is cancelled. A thread that has ended
        answers no more: the closing would wait for ever, and a service that is being stopped with it.
        """
        if not self._stopped:
            self._stopped = True
            self._tx.put_nowait((None, self._ended))

    def _ended(self) -> object:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return _STOP_RUNNING_SENTINEL

    async def run(
        self,
        statement: str,
        parameters: Any,
        *,
        many: bool = False,
        told: Callable[[sqlite3.Cursor], None] | None = None,
    ) -> Rows:
        """Execute a statement, with each of its parameters if there are `many`, and give all its rows."""

        size = sum(map(_size, parameters)) if many else _size(parameters)
        long = size > _LARGE_VALUES or statement.startswith(("BEGIN IMMEDIATE", "PRAGMA")) or LARGE in statement
        if long or self._asked != self._done:
            return cast("Rows", await self._execute(self._ran, statement, parameters, many, told))
        return self._ran(statement, parameters, many, told)

    def _ran(self, statement: str, parameters: Any, many: bool, told: Callable[[sqlite3.Cursor], None] | None) -> Rows:
        cursor = self._conn.cursor()
        try:
            (cursor.executemany if many else cursor.execute)(statement, parameters)
            if told:
                told(cursor)
            return cursor.fetchall() if cursor.description else []
        finally:
            cursor.close()

    async def begin(self, *, read_only: bool, durable: bool) -> None:
        """Begin a transaction: in the thread if it has to wait for the writer's lock."""
        if read_only:
            await self.do(lambda: self._conn.execute("BEGIN"), long=False)
        elif not await self.do(lambda: self._begun_at_once(durable), long=False):
            await self.do(lambda: self._conn.execute("BEGIN IMMEDIATE"), long=True)

    def _begun_at_once(self, durable: bool) -> bool:
        """Begin to write, unless somebody else does."""
        if durable != self._durable:
            self._conn.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self._conn.execute("PRAGMA busy_timeout=0")
        try:
            self._conn.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
        finally:
            self._conn.execute(f"PRAGMA busy_timeout={WAITS}")
        return True

    async def do(self, work: Callable[[], Done], *, long: bool) -> Done:
        """Do it here, unless it may take long or the thread is still at what a cancelled request has left it."""
        if long or self._asked != self._done:
            return cast("Done", await self._execute(work))
        return work()

    async def commit(self) -> None:
        """Commit: in the thread if that writes anything."""
        changes = self.total_changes
        await self.do(self._conn.commit, long=changes != self._changes)
        self._changes = changes

    async def rollback(self) -> None:
        """Roll back, likewise."""
        await self.do(self._conn.rollback, long=self.total_changes != self._changes)
        self._changes = self.total_changes

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        def counted() -> Any:
            try:
                return fn(*args, **kwargs)
            finally:
                self._done += 1

        if not self._running or not self._connection:
            raise ValueError("Connection closed")
        self._asked += 1
        return await self._in_thread(counted)

    async def _connect(self) -> "Connection":
        def opened() -> None:
            self._connection = self._connector()  # at once: who has asked may be gone, and `stop` is to close it

        try:
            await self._in_thread(opened)
        except BaseException:
            self.stop()
            raise
        return self

    async def _in_thread(self, work: Callable[[], Done]) -> Done:
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((cast("asyncio.Future[Done]", _Answer(future)), work))
        return await future


class _Answer:
    """What the thread takes for a future: who has asked may be cancelled, and his loop be closed, before it is done."""

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def get_loop(self) -> "_Answer":
        return self

    def call_soon_threadsafe(self, settle: Callable[[Any, Any], None], _: object, value: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._future.get_loop().call_soon_threadsafe(settle, self._future, value)


class _Streaming(Connection):
    def cursor(self) -> Any:
        return aiosqlite.Connection.cursor(self)


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """Connect as `aiosqlite.connect` does."""
    return _connected(Connection, database, options)


def connect_streaming(database: str, **options: Any) -> aiosqlite.Connection:
    """Connect likewise, with cursors that give their rows one by one."""
    return _connected(_Streaming, database, options)


def _connected(kind: type[Connection], database: str, options: dict[str, Any]) -> aiosqlite.Connection:
    # Two threads may use it, one at a time.
    options["check_same_thread"] = False
    connection = kind(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    # As SQLAlchemy does it: a process may end without having closed.
    connection._thread.daemon = True
    return connection


def _size(values: Iterable[Any]) -> int:
    size = 0
    for value in values:
        if type(value) in _SIZED:
            size += len(value)
    return size
