"""The database: its transactions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Table,
    TableValuedAlias,
    UpdateBase,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key
from sqlmodel import Session as SyncSession
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.encryption import Encryption
from inset.engines import is_away, is_no_text, is_postgres, new_engine
from inset.engines.connections import Connections
from inset.engines.direct import Direct
from inset.engines.prepared import Prepared
from inset.engines.sqlite import empty_log
from inset.errors import DatabaseUnavailable, InvalidRequest
from inset.recent import RecentDocuments
from inset.settings import DatabaseSettings

Row = Mapping[str, Any]
Rows = Row | Sequence[Row]
Model = TypeVar("Model", bound=SQLModel)

_AS_USUAL = DatabaseSettings()
_AT_COMMIT = "inset_at_commit"
_COMMITTED = "inset_committed"
_ENCRYPTION = "inset_encryption"
_DIRECT = "inset_direct"
_RECENT = "inset_recent"
_NEWS = "inset_news"
_WRITES_IN_ORDER = 0x1_15E7
"""The advisory lock under which rows get their growing ids, on PostgreSQL."""
_GIVES_PLACES = 0x1_15E8
"""And the one under which sessions get out of the queue."""


class Database:
    """Hands out transactions on one engine."""

    def __init__(self, engine: AsyncEngine, encryption: Encryption | None, recent: RecentDocuments) -> None:
        self.news = asyncio.Event()
        """Set once something was committed here that others wait to hear of (`news`)."""
        self._info = {_ENCRYPTION: encryption, _RECENT: recent, _NEWS: self.news}
        self._engine = engine
        self._connections = Connections(engine)

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False, durable: bool = True) -> AsyncIterator[AsyncSession]:
        """Open a transaction that is committed on leaving, or rolled back if the body raised.

        One that is not `durable` outlives any process that is killed; on SQLite the power's failure may take it back.

        One that only reads sees one state of the database throughout. One that writes sees with each statement what
        was committed before it: what must not change under it has to be locked (`HELD`).

        Raises `DatabaseUnavailable` if the database can't be reached, or has no room, and `InvalidRequest` where a text
        is given that it cannot hold.
        """
        direct = Direct(self._connections, read_only=read_only, durable=durable)
        with _as_problems(read_only=read_only):
            async with _Session(direct, self._info) as db:
                yield db
                await db.commit()

    async def ask_alone(self, statement: Prepared, **given: Any) -> Sequence[Any]:
        """Give the rows that one statement asks for: it needs no transaction, whose beginning and end take as long.

        Raises as `transaction` does.
        """
        with _as_problems(read_only=True):
            return await Direct(self._connections, read_only=True).ask_alone(statement, given)

    async def schema(self) -> str:
        """Name the schema that the database is at. Raises `DatabaseUnavailable`."""
        async with self.transaction(read_only=True) as db:
            return str((await db.exec(text("SELECT version_num FROM alembic_version"))).scalar_one())  # type: ignore[call-overload]

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.close()
        await self._engine.dispose()

    async def forget_replaced(self) -> None:
        """Leave nothing of what was overwritten in SQLite's log. PostgreSQL's vacuum is its operator's."""
        if not is_postgres(self._engine):
            await empty_log(self._engine)


@contextmanager
def _as_problems(*, read_only: bool) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, NoConnectionFree) as exc:
        if is_away(exc, read_only=read_only):
            raise DatabaseUnavailable from exc
        if is_no_text(exc):
            raise InvalidRequest("A text holds a NUL, which no name has.", errors=[]) from exc
        raise


async def alone(db: AsyncSession) -> bool:
    """Have this transaction be the only one that gives places out; tells whether it is, without waiting for another."""
    if not on_postgres(db):
        return True  # SQLite has one writer
    asked = await db.exec(text(f"SELECT pg_try_advisory_xact_lock({_GIVES_PLACES})"))  # type: ignore[call-overload]
    return bool(asked.scalar_one())


def on_postgres(db: AsyncSession) -> bool:
    """Tell whether a transaction is one of PostgreSQL's, without having it begin."""
    direct: Direct = db.info[_DIRECT]
    return direct.on_postgres


def listed(texts: ColumnElement[Any], *, postgres: bool) -> TableValuedAlias:
    """Have the database take a list, given as JSON, for a table: each text is a `value`, its place the `key`."""
    if postgres:
        return func.json_array_elements_text(texts).table_valued("value", with_ordinality="key").render_derived()
    return func.json_each(texts).table_valued("value", "key")


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


async def ask(db: AsyncSession, statement: Executable | Prepared, **given: Any) -> Sequence[Any]:
    """Give the rows of columns that a statement asks for, past the ORM, which takes longer than the database."""
    if isinstance(statement, Prepared):
        await _flush(db)
        direct: Direct = db.info[_DIRECT]
        return await direct.ask(statement, given)
    return await db.run_sync(lambda sync: _connection(sync).execute(statement, given).all())


def known(db: AsyncSession, model: type[Model], row: Row) -> Model:
    """Give the ORM's object of a row that `ask` has found with all its columns, as it is now."""
    key = identity_key(model, tuple(row[column.key] for column in table(model).primary_key))
    found = db.sync_session.identity_map.get(key)
    if found is None:
        found = model(**row)
        make_transient_to_detached(found)
        db.add(found)
    else:
        for name, value in row.items():
            set_committed_value(found, name, value)
    return found


async def write(db: AsyncSession, statement: UpdateBase | Prepared, given: Rows) -> None:
    """Execute a statement that changes rows, past the ORM: its objects keep what they have."""
    if not isinstance(statement, Prepared):
        await db.run_sync(lambda sync: _connection(sync).execute(statement, given))
        return
    await _flush(db)
    direct: Direct = db.info[_DIRECT]
    if isinstance(given, Mapping):
        await direct.ask(statement, given)
    else:
        await direct.write_all(statement, given)


async def _flush(db: AsyncSession) -> None:
    """Have what was changed of the ORM's objects come first, if it has any."""
    if db.in_transaction() and (db.new or db.dirty or db.deleted):
        await db.flush()


def _connection(sync: OrmSession) -> Connection:
    sync.flush()
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


def news(db: AsyncSession) -> None:
    """Have those who wait for this process' news look at once, as soon as this transaction is committed."""
    told: asyncio.Event = db.info[_NEWS]
    once_committed(db, told.set)


class _Joining(SyncSession):
    """An ORM's session in a transaction that is there already, or begins with what it is first asked for."""

    def get_bind(self, *_: Any, **__: Any) -> Connection:
        direct: Direct = self.info[_DIRECT]
        return direct.joined()


class _Session(AsyncSession):
    """Made an ORM's once something asks for that: most requests do not, and it takes as long as a statement or two."""

    sync_session_class = _Joining

    def __init__(self, direct: Direct, info: Mapping[str, Any]) -> None:
        self._direct = direct
        self._info: dict[Any, Any] = {**info, _DIRECT: direct}

    def __getattr__(self, name: str) -> Any:
        if name not in ("sync_session", "_proxied"):
            raise AttributeError(name)
        super().__init__(expire_on_commit=False, info={_DIRECT: self._direct})
        return vars(self)[name]

    @property
    def info(self) -> dict[Any, Any]:
        return self._info

    @property
    def _is_made(self) -> bool:
        return "sync_session" in vars(self)

    def in_transaction(self) -> bool:
        return self._is_made and super().in_transaction()

    async def __aexit__(self, *raised: Any) -> None:
        if self._direct.begun or self.in_transaction():
            await super().__aexit__(*raised)
        elif self._is_made:
            self.sync_session.close()  # which asks nothing of the database, and so needs no task of its own

    async def close(self) -> None:
        try:
            if self._is_made:
                await super().close()
        finally:
            await self._direct.rollback()

    async def commit(self) -> None:
        rows = self._info.pop(_AT_COMMIT, [])
        if rows:
            await _write_in_order(self, rows)
        if self.in_transaction():
            await super().commit()
        await self._direct.commit()
        for tell in self._info.pop(_COMMITTED, []):
            tell()

    async def rollback(self) -> None:
        self._info.pop(_AT_COMMIT, None)
        self._info.pop(_COMMITTED, None)
        try:
            if self._is_made:
                await super().rollback()
        finally:
            await self._direct.rollback()


async def _write_in_order(db: AsyncSession, rows: Sequence[tuple[type[SQLModel], Callable[[], Row]]]) -> None:
    if on_postgres(db):
        # A sequence gives its numbers in the order of asking, not of committing.
        await ask(db, _ORDERED)
    for model, make in rows:
        await write(db, _inserting(model), make())


_ORDERED = Prepared(select(func.pg_advisory_xact_lock(_WRITES_IN_ORDER)))


@lru_cache
def _inserting(model: type[SQLModel]) -> Prepared:
    return Prepared(insert(table(model)).inline())


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
    database = Database(engine, encryption, recent or RecentDocuments())
    try:
        yield database
    finally:
        await database.close()


def upsert(db: AsyncSession, table: type[SQLModel]) -> sqlite.Insert | postgresql.Insert:
    """Begin an `INSERT … ON CONFLICT` in the database's own dialect; both of them spell it alike."""
    insert = postgresql.insert if on_postgres(db) else sqlite.insert
    return insert(table)
