"""The database: its transactions, its migrations."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Executable, Insert, Table, UpdateBase, insert, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session as SyncSession
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.encryption import Encryption
from inset.engines import is_away, is_no_text, is_postgres, make_folder, new_engine, reading
from inset.engines.sqlite import empty_log
from inset.errors import DatabaseUnavailable, InvalidRequest
from inset.recent import RecentDocuments
from inset.settings import DatabaseSettings

Row = Mapping[str, Any]
Rows = Row | Sequence[Row]

_AS_USUAL = DatabaseSettings()
_AT_COMMIT = "inset_at_commit"
_COMMITTED = "inset_committed"
_ENCRYPTION = "inset_encryption"
_RECENT = "inset_recent"
_WRITES_IN_ORDER = 0x1_15E7
"""The advisory lock under which rows get their growing ids, on PostgreSQL."""
_GIVES_PLACES = 0x1_15E8
"""And the one under which sessions get out of the queue."""


class Database:
    """Hands out transactions on one engine."""

    def __init__(self, engine: AsyncEngine, encryption: Encryption | None, recent: RecentDocuments) -> None:
        self._info = {_ENCRYPTION: encryption, _RECENT: recent}
        self._writing = engine
        self._reading = reading(engine)

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        """Open a transaction that is committed on leaving, or rolled back if the body raised.

        One that only reads sees one state of the database throughout. One that writes sees with each statement what
        was committed before it: what must not change under it has to be locked (`HELD`).

        Raises `DatabaseUnavailable` if the database can't be reached, or has no room, and `InvalidRequest` where a text
        is given that it cannot hold.
        """
        try:
            engine = self._reading if read_only else self._writing
            async with _Session(engine, expire_on_commit=False, info=self._info) as db:
                yield db
                await db.commit()
        except (DBAPIError, NoConnectionFree) as exc:
            if is_away(exc, read_only=read_only):
                raise DatabaseUnavailable from exc
            if is_no_text(exc):
                raise InvalidRequest("A text holds a NUL, which no name has.", errors=[]) from exc
            raise

    async def schema(self) -> str:
        """Name the schema that the database is at. Raises `DatabaseUnavailable`."""
        async with self.transaction(read_only=True) as db:
            return str((await db.exec(text("SELECT version_num FROM alembic_version"))).scalar_one())  # type: ignore[call-overload]

    async def forget_replaced(self) -> None:
        """Leave nothing of what was overwritten in SQLite's log. PostgreSQL's vacuum is its operator's."""
        if not is_postgres(self._writing):
            await empty_log(self._writing)


async def alone(db: AsyncSession) -> bool:
    """Have this transaction be the only one that gives places out; tells whether it is, without waiting for another."""
    if not is_postgres(db.get_bind()):
        return True  # SQLite has one writer
    asked = await db.exec(text(f"SELECT pg_try_advisory_xact_lock({_GIVES_PLACES})"))  # type: ignore[call-overload]
    return bool(asked.scalar_one())


HELD: dict[str, bool] = {"key_share": True}
"""For `with_for_update`: nobody else changes or so holds the row until this transaction is over.

Others may go on to refer to it. SQLite's one writer holds everything, and needs no more. Deadlocks are kept away by one
order in which rows are taken: host, notebook, sessions by id, server.
"""


def encryption(db: AsyncSession) -> Encryption | None:
    """Give the keys with which a transaction reads and writes what is encrypted."""
    found: Encryption | None = db.info.get(_ENCRYPTION)
    return found


def recent_documents(db: AsyncSession) -> RecentDocuments:
    """Give what this process remembers of the documents that it has stored in a transaction's database."""
    recent: RecentDocuments = db.info[_RECENT]
    return recent


def table(model: type[SQLModel]) -> Table:
    """Give a model's table, which is written to past the ORM."""
    return SQLModel.metadata.tables[str(model.__tablename__)]


async def ask(db: AsyncSession, statement: Executable, **given: Any) -> Sequence[Any]:
    """Give the rows of columns that a statement asks for, past the ORM, which takes longer than the database."""
    return await db.run_sync(lambda sync: _connection(sync).execute(statement, given).all())


async def write(db: AsyncSession, statement: UpdateBase, given: Rows) -> None:
    """Execute a statement that changes rows, past the ORM: its objects keep what they have."""
    await db.run_sync(lambda sync: _connection(sync).execute(statement, given))


def _connection(sync: SyncSession) -> Connection:
    sync.flush()  # what was changed of the ORM's objects comes first, if anything was
    return sync.connection()


def write_in_order(db: AsyncSession, model: type[SQLModel], make: Callable[[], Row]) -> None:
    """Write a row whose generated id shall be greater than those of all rows that were committed before it.

    It is made and written last of all, at the commit: readers who go on after an id then miss nothing, and nobody who
    waits for another's locks keeps the others from writing theirs.
    """
    db.info.setdefault(_AT_COMMIT, []).append((model, make))


def once_committed(db: AsyncSession, tell: Callable[[], None]) -> None:
    """Have something told once this transaction is committed, and never if it is rolled back."""
    db.info.setdefault(_COMMITTED, []).append(tell)


class _Session(AsyncSession):
    async def __aexit__(self, *raised: Any) -> None:
        if self.in_transaction():
            await super().__aexit__(*raised)
        else:
            self.sync_session.close()  # which asks nothing of the database, and so needs no task of its own

    async def commit(self) -> None:
        rows = self.info.pop(_AT_COMMIT, [])
        if rows:
            await self.run_sync(_write_in_order, rows)
        await super().commit()
        for tell in self.info.pop(_COMMITTED, []):
            tell()

    async def rollback(self) -> None:
        self.info.pop(_AT_COMMIT, None)
        self.info.pop(_COMMITTED, None)
        await super().rollback()


def _write_in_order(sync: SyncSession, rows: Sequence[tuple[type[SQLModel], Callable[[], Row]]]) -> None:
    connection = _connection(sync)
    if is_postgres(connection):
        # A sequence gives its numbers in the order of asking, not of committing.
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_WRITES_IN_ORDER})"))
    for model, make in rows:
        connection.execute(_inserting(model), make())


@lru_cache
def _inserting(model: type[SQLModel]) -> Insert:
    return insert(table(model)).inline()


@asynccontextmanager
async def open_database(
    url: str,
    settings: DatabaseSettings | None = _AS_USUAL,
    *,
    encryption: Encryption | None = None,
    recent: RecentDocuments | None = None,
) -> AsyncIterator[Database]:
    """Connect to a migrated database, and disconnect on leaving. Without `settings` nothing that takes long is cut."""
    engine = new_engine(url, settings)
    try:
        yield Database(engine, encryption, recent or RecentDocuments())
    finally:
        await engine.dispose()


def upgrade(url: str) -> None:
    """Bring a database to the newest schema; one that is a file is created if it does not exist."""
    make_folder(url)
    command.upgrade(migrations(url), "head")


async def require_upgraded(url: str) -> None:
    """Raise `ValueError` if a database is not at the newest schema."""
    engine = new_engine(url, _AS_USUAL)
    try:
        async with engine.connect() as connection:
            heads = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_heads())
    finally:
        await engine.dispose()
    if set(heads) != {newest_schema()}:
        raise ValueError("the database is not at the newest schema: run `inset db upgrade` first")


def newest_schema() -> str:
    """Name the newest schema."""
    [head] = ScriptDirectory.from_config(migrations("")).get_heads()
    return head


def older_schemas() -> set[str]:
    """Name the schemas that this release replaces by its own."""
    newest, *older = ScriptDirectory.from_config(migrations("")).walk_revisions()
    return {revision.revision for revision in older} - {newest.revision}


def upsert(db: AsyncSession, table: type[SQLModel]) -> sqlite.Insert | postgresql.Insert:
    """Begin an `INSERT … ON CONFLICT` in the database's own dialect; both of them spell it alike."""
    insert = postgresql.insert if is_postgres(db.get_bind()) else sqlite.insert
    return insert(table)


def migrations(url: str) -> Config:
    """Give Alembic's configuration for a database."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["url"] = url
    return config
