"""Transactions on a driver's own connection: SQLAlchemy's takes ten times as long as the database to begin and end one.

The ORM joins such a transaction where something needs it, and so there is one kind of transaction, whoever asks in it.
"""

from collections.abc import Awaitable, Sequence
from typing import Any

from sqlalchemy import Connection, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util.concurrency import await_only

from inset.engines.connections import Connections
from inset.engines.prepared import Given, Prepared


class Direct:
    """One transaction after the other, each begun when it is first asked for something."""

    def __init__(self, connections: Connections, *, read_only: bool, durable: bool = True) -> None:
        self._connections = connections
        self._engine, self._driver = connections.engine, connections.driver
        self._begins = {"read_only": read_only, "durable": durable}
        self.on_postgres = connections.on_postgres
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
        return await self._asked(statement, given)

    async def ask_alone(self, statement: Prepared, given: Given) -> list[Any]:
        """Execute a statement that only reads, in no transaction. Raises `DBAPIError`."""
        self._hold(await self._connections.take())
        try:
            return await self._asked(statement, given)
        except DBAPIError as exc:
            if not exc.connection_invalidated:
                raise
            await self._renew(exc)
            return await self._asked(statement, given)
        finally:
            await self._release()

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
        held = self._hold(await self._connections.take())
        try:
            await self._done("BEGIN", self._driver.begin(held, **self._begins))
        except DBAPIError as exc:
            if not exc.connection_invalidated:
                raise
            held = await self._renew(exc)
            await self._done("BEGIN", self._driver.begin(held, **self._begins))
        return held

    async def _renew(self, exc: DBAPIError) -> PoolProxiedConnection:
        """Go on with a new connection, where one was lost in the moment before: it says whether that was all."""
        lost, self._held, self._unsure = self._held, None, False
        assert lost is not None
        return self._hold(await self._connections.renew(lost, exc))

    async def _asked(self, statement: Prepared, given: Given) -> list[Any]:
        compiled = statement.on(self._engine.dialect, given)
        text, values = compiled.bound(given)
        return compiled.rows(await self._done(text, self._driver.run(self._connection, text, values)))

    def _hold(self, held: PoolProxiedConnection) -> PoolProxiedConnection:
        self._held, self._connection = held, held.driver_connection
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
            await self._connections.give_back(held, unsure=unsure)
