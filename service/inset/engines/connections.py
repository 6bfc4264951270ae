"""Connections of an engine's pool, handed on without the way through it.

To take one out of SQLAlchemy's pool and put it back needs two greenlets, each with a stack of its own, and takes as
long as a small transaction. And the pool gives what has lain there longest: on SQLite, one that has read nothing of
what the last has written.
"""

from types import ModuleType

from sqlalchemy import PoolProxiedConnection, QueuePool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import greenlet_spawn

from inset.engines import sqlite


class Connections:
    """Gives connections, and keeps those that come back at hand, as long as nobody waits at the pool for one."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine.sync_engine
        self.on_postgres = engine.dialect.name == "postgresql"
        self.driver = _driver_of_postgres() if self.on_postgres else sqlite
        self._at_hand: list[PoolProxiedConnection] = []
        self._waiting = 0

    async def take(self) -> PoolProxiedConnection:
        """Give a connection that nobody else has. Raises `DBAPIError`, or the pool's `TimeoutError`."""
        try:
            held = await self._next()
            while self.driver.is_lost(held):  # while nobody had it
                await greenlet_spawn(held.invalidate)
                held = await self._next()
        except (self.engine.dialect.loaded_dbapi.Error, OSError) as exc:
            raise DBAPIError("connect", None, exc, connection_invalidated=True) from exc
        return held

    async def _next(self) -> PoolProxiedConnection:
        if self._at_hand:
            return self._at_hand.pop()
        self._waiting += 1
        try:
            return await greenlet_spawn(self.engine.pool.connect)
        finally:
            self._waiting -= 1

    async def give_back(self, held: PoolProxiedConnection, *, unsure: bool) -> None:
        """Take a connection back. One that is `unsure`, whose state nobody knows, is closed."""
        if unsure and held.is_valid:
            await greenlet_spawn(held.invalidate)
        pool = self.engine.pool
        # Those beyond the pool's size are closed by it.
        if held.is_valid and not self._waiting and isinstance(pool, QueuePool) and pool.overflow() <= 0:
            self._at_hand.append(held)
        else:
            await greenlet_spawn(held.close)

    async def renew(self, lost: PoolProxiedConnection, error: DBAPIError) -> PoolProxiedConnection:
        """Give a new connection for one that turned out lost, as all may be that are as old. Raises as `take` does."""
        await greenlet_spawn(self.engine.pool._invalidate, lost, error)
        await greenlet_spawn(lost.close)
        await self.close()
        return await self.take()

    async def close(self) -> None:
        """Put all that are at hand back into the pool."""
        while self._at_hand:
            await greenlet_spawn(self._at_hand.pop().close)


def _driver_of_postgres() -> ModuleType:
    from inset.engines import postgres  # here: it is imported where there is one (`inset.engines.new_engine`)

    return postgres
