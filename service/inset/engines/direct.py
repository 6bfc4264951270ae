"""Transactions on a driver's own connection: SQLAlchemy's takes ten times as long as the database to begin and end one.

The ORM joins such a transaction where something needs it, and so there is one kind of transaction, whoever asks in it.
"""

from collections.abc import Awaitable, Sequence
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from inset.engines import sqlite
from inset.engines.prepared import Given, Prepared


class Direct:
    """One transaction after the other, each begun when it is first asked for something."""

    def __init__(self, engine: AsyncEngine, *, read_only: bool, durable: bool = True) -> None:
        self._engine = engine.sync_engine
        self._begins = {"read_only": read_only, "durable": durable}
        self.on_postgres = engine.dialect.name == "postgresql"
        self._driver = _driver_of_postgres() if self.on_postgres else sqlite
        self._held: PoolProxiedConnection | None = None
        self._connection: Any = None
        """The driver's own, as long as it is held."""
        self._joined: Connection | None = None
        self._unsure = False
        """Whether something was broken off, so that nobody knows what the connection is at."""

    @property
    def begun(self) -> bool:
        """Whether there is a transaction, and so a connection that nobody else has."""
        return self._held is not None

    async def ask(self, statement: Prepared, given: Given) -> list[Any]:
        """Execute a statement once, and give the rows that it gives. Raises `DBAPIError`."""
        if self._held is None:
            await self._begin()
        compiled = statement.on(self._engine.dialect, given)
        text, values = compiled.bound(given)
        return compiled.rows(await self._done(text, self._driver.run(self._connection, text, values)))

    async def write_all(self, statement: Prepared, rows: Sequence[Given]) -> None:
        """Execute a statement for each of these rows, which have the same columns. Raises `DBAPIError`."""
        if self._held is None:
            await self._begin()
        compiled = statement.on(self._engine.dialect, rows[0])
        values = [compiled.values(row) for row in rows]
        await self._done(compiled.text, self._driver.run_many(self._connection, compiled.text, values))

    def joined(self) -> Connection:
        """Give the connection to SQLAlchemy, which then commits or rolls back what was done on it before, too."""
        if self._joined is None:
            held = self._held or await_only(self._begin())
            # Without the engine's events: it has begun already.
            self._joined = Connection(self._engine, held, _has_events=False)
        return self._joined

    async def commit(self) -> None:
        """Commit what SQLAlchemy has not, if there is a transaction. Raises `DBAPIError`."""
        if self._held is not None:
            await self._done("COMMIT", self._driver.commit(self._held))
            await self._release()

    async def rollback(self) -> None:
        """Leave nothing of the transaction, if there is one."""
        if self._held is None:
            return
        try:
            if self._held.is_valid and not self._unsure:
                await self._done("ROLLBACK", self._driver.rollback(self._held))
        except DBAPIError:
            self._unsure = True  # the database rolls back what lost its connection
        finally:
            await self._release()

    async def _begin(self) -> PoolProxiedConnection:
        held = await self._connected()
        try:
            await self._done("BEGIN", self._driver.begin(held, **self._begins))
        except DBAPIError as exc:
            if not exc.connection_invalidated:
                raise
            # It was lost in the moment before, as all may be that are as old: a new one says whether that was all.
            await greenlet_spawn(self._engine.pool._invalidate, held, exc)
            await self._release()
            held = await self._connected()
            await self._done("BEGIN", self._driver.begin(held, **self._begins))
        return held

    async def _connected(self) -> PoolProxiedConnection:
        try:
            held = self._held = await greenlet_spawn(self._engine.pool.connect)
            while self._driver.is_lost(held):  # while nobody had it
                await greenlet_spawn(held.invalidate)
                held = self._held = await greenlet_spawn(self._engine.pool.connect)
        except (self._engine.dialect.loaded_dbapi.Error, OSError) as exc:
            raise DBAPIError("connect", None, exc, connection_invalidated=True) from exc
        self._connection = held.driver_connection
        return held

    async def _done(self, text: str, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except self._driver.ERRORS as exc:
            lost = self._held is None or self._driver.is_lost(self._held)
            self._unsure = self._unsure or lost
            raise DBAPIError(text, None, exc, connection_invalidated=lost) from exc
        except BaseException:
            self._unsure = True
            raise

    async def _release(self) -> None:
        held, unsure = self._held, self._unsure
        self._held, self._connection, self._joined, self._unsure = None, None, None, False
        if held is not None:
            if unsure and held.is_valid:
                await greenlet_spawn(held.invalidate)
            await greenlet_spawn(held.close)


def _driver_of_postgres() -> ModuleType:
    from inset.engines import postgres  # here: it is imported where there is one (`inset.engines.new_engine`)

    return postgres
