"""SQLite, the embedded database, with the manners of a server."""

import sqlite3
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from inset.engines import sqlite_driver

_READ_ONLY = "inset_read_only"

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
    driver = {} if streams else {"async_creator_fn": sqlite_driver.connect}
    pragmas = ["journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"]
    if streams:
        # `inset db encrypt` is among the long work: what it has replaced must not be left in pages that are free.
        pragmas.append("secure_delete=ON")
    engine = create_async_engine(url, connect_args=driver)

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late; ours is below
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once: one that starts by reading and writes later would fail instead of waiting
        # whenever another has written in between.
        read_only = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


async def empty_log(engine: AsyncEngine) -> None:
    """Have everything written to the file itself, and nothing left in the log beside it, if nobody reads just now."""
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        for pragma in ("busy_timeout=1000", "wal_checkpoint(TRUNCATE)", "busy_timeout=15000"):
            await (await raw.execute(f"PRAGMA {pragma}")).fetchall()


def reading(engine: AsyncEngine) -> AsyncEngine:
    """Give an engine whose transactions wait for no writer."""
    return engine.execution_options(**{_READ_ONLY: True})


def is_away(error: BaseException | None) -> bool:
    """Tell whether an error of the driver says nothing against what was asked."""
    # An extended code's last byte is the primary one.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _AWAY
