"""SQLite, the embedded database, with the manners of a server."""

import sqlite3
from collections.abc import Awaitable, Sequence
from typing import Any

from sqlalchemy import URL, Connection, PoolProxiedConnection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from inset.engines import sqlite_driver

_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
"""The primary result codes that say nothing against what was asked: locked for too long, no disk, no room on it."""


def new_engine(url: URL, *, streams: bool) -> AsyncEngine:
    """Make an engine: waiting writers, readers beside them, foreign keys, durable commits.

    One that `streams` can give rows one by one; another is faster at giving all at once.
    """
    driver = {
        "async_creator_fn": sqlite_driver.connect_streaming if streams else sqlite_driver.connect,
        # The driver's own BEGIN comes too late. Set afterwards, it would be past `sqlite_driver`: the thread of the
        # connection does not survive that where the loop is closed meanwhile.
        "isolation_level": None,
    }
    pragmas = ["journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"]
    pragmas.append(f"busy_timeout={sqlite_driver.WAITS}")
    if streams:
        # `inset db encrypt` is among the long work: what it has replaced must not be left in pages that are free.
        pragmas.append("secure_delete=ON")
    # A transaction is over when its connection comes back (`direct.py`).
    engine = create_async_engine(url, connect_args=driver, pool_reset_on_return=None)

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin_alone(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # migrations, which nothing else asks past `direct.py`

    return engine


ERRORS: tuple[type[Exception], ...] = (sqlite3.Error,)
"""What the driver raises where the database refuses something."""


def begin(held: PoolProxiedConnection, *, read_only: bool, durable: bool) -> Awaitable[None]:
    """Begin a transaction; one that is not `durable` survives the end of any process, but maybe not that of the power.

    A writer takes the lock at once: one that starts by reading and writes later would fail instead of waiting whenever
    another has written in between.
    """
    return _driver(held).begin(read_only=read_only, durable=durable)


def run(connection: sqlite_driver.Connection, text: str, values: Sequence[Any]) -> Awaitable[sqlite_driver.Rows]:
    """Execute a statement, and give all its rows."""
    return connection.run(text, values)


def run_many(
    connection: sqlite_driver.Connection, text: str, values: Sequence[Sequence[Any]]
) -> Awaitable[sqlite_driver.Rows]:
    """Execute a statement for each of these values."""
    return connection.run(text, values, many=True)


def commit(held: PoolProxiedConnection) -> Awaitable[None]:
    """Commit, if there is a transaction."""
    return _driver(held).commit()


def rollback(held: PoolProxiedConnection) -> Awaitable[None]:
    """Roll back, if there is a transaction."""
    return _driver(held).rollback()


def is_lost(held: PoolProxiedConnection) -> bool:
    """Tell whether a connection is of no use any more."""
    return not held.is_valid


def _driver(held: PoolProxiedConnection) -> sqlite_driver.Connection:
    driver = held.driver_connection
    assert isinstance(driver, sqlite_driver.Connection)
    return driver


async def empty_log(engine: AsyncEngine) -> None:
    """Have everything written to the file itself, and nothing left in the log beside it, if nobody reads just now."""
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        for pragma in ("busy_timeout=1000", "wal_checkpoint(TRUNCATE)", f"busy_timeout={sqlite_driver.WAITS}"):
            await (await raw.execute(f"PRAGMA {pragma}")).fetchall()


def is_away(error: BaseException | None) -> bool:
    """Tell whether an error of the driver says nothing against what was asked."""
    # An extended code's last byte is the primary one.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _AWAY
