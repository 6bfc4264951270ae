"""The database: its engine, its transactions, its migrations."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from inset import sqlite_driver
from inset.errors import DatabaseUnavailable

_READ_ONLY = "inset_read_only"

_SQLITE_AWAY = frozenset(
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


class Database:
    """Hands out transactions on one engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        """Open a transaction that is committed on leaving, or rolled back if the body raised.

        On SQLite a writing one takes the write lock at once: one that starts by reading and writes later
        would fail instead of waiting whenever another has written in between.

        Raises `DatabaseUnavailable` if the database can't be reached, or has no room.
        """
        engine = self._engine.execution_options(**{_READ_ONLY: read_only})
        try:
            async with AsyncSession(engine, expire_on_commit=False) as db:
                yield db
                await db.commit()
        except (DBAPIError, NoConnectionFree) as exc:
            if _is_away(exc):
                raise DatabaseUnavailable from exc
            raise


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Connect to a migrated database, and disconnect on leaving."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"async_creator_fn": sqlite_driver.connect})
        _tame_sqlite(engine)
    else:
        engine = create_async_engine(url, pool_pre_ping=True)
    try:
        yield Database(engine)
    finally:
        await engine.dispose()


def upgrade(url: str) -> None:
    """Bring a database to the newest schema, creating it if it does not exist."""
    database = make_url(url).database
    if url.startswith("sqlite") and database:
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    command.upgrade(migrations(url), "head")


async def require_upgraded(url: str) -> None:
    """Raise `ValueError` if a database is not at the newest schema."""
    newest = ScriptDirectory.from_config(migrations(url)).get_heads()
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            heads = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_heads())
    finally:
        await engine.dispose()
    if set(heads) != set(newest):
        raise ValueError("the database is not at the newest schema: run `inset db upgrade` first")


def upsert(db: AsyncSession, table: type[SQLModel]) -> sqlite.Insert | postgresql.Insert:
    """Begin an `INSERT … ON CONFLICT` in the database's own dialect; both of them spell it alike."""
    insert = sqlite.insert if db.get_bind().dialect.name == "sqlite" else postgresql.insert
    return insert(table)


def migrations(url: str) -> Config:
    """Give Alembic's configuration for a database."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["url"] = url
    return config


def _is_away(exc: DBAPIError | NoConnectionFree) -> bool:
    if isinstance(exc, NoConnectionFree) or exc.connection_invalidated:
        return True
    # An extended code's last byte is the primary one.
    return getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY


def _tame_sqlite(engine: AsyncEngine) -> None:
    """Give SQLite the manners of a server: waiting writers, readers beside them, foreign keys, durable commits."""

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late; ours is below
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
