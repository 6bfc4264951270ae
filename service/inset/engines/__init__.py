"""The engines under the one code path: which database a URL means, how it is driven, when it counts as away."""

from pathlib import Path

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.asyncio import AsyncEngine

from inset.engines import sqlite, sqlstates
from inset.settings import DatabaseSettings

_DRIVERS = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}


def async_url(url: str) -> URL:
    """Read a database's URL as operators write it. Raises `ValueError` for a kind of database that Inset has not."""
    parsed = make_url(url)
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.drivername not in _DRIVERS.values():
        raise ValueError(f"{parsed.drivername}: write postgresql://… or sqlite:///…")
    if "sslmode" in parsed.query:
        # What every other program calls it.
        mode = parsed.query["sslmode"]
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return parsed


def new_engine(url: str, settings: DatabaseSettings | None = None) -> AsyncEngine:
    """Make an engine as the service's requests need it; without `settings` for long work: no time-outs, and streams."""
    parsed = async_url(url)
    if parsed.get_backend_name() == "sqlite":
        return sqlite.new_engine(parsed, streams=settings is None)
    from inset.engines import postgres  # here: asyncpg, which no start on SQLite needs

    return postgres.new_engine(parsed, settings)


def make_folder(url: str) -> None:
    """Make the folder of a database that is a file."""
    parsed = async_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)


def is_postgres(bind: AsyncEngine | Engine | Connection) -> bool:
    """Tell whether an engine, or a session's bind, drives PostgreSQL."""
    return bind.dialect.name == "postgresql"


def is_away(exc: DBAPIError | NoConnectionFree, *, read_only: bool) -> bool:
    """Tell whether an error says nothing against what was asked, so that the same may work in a moment."""
    if isinstance(exc, NoConnectionFree) or exc.connection_invalidated:
        return True
    return sqlite.is_away(exc.orig) or sqlstates.is_away(exc.orig, read_only=read_only)


def is_no_text(exc: DBAPIError | NoConnectionFree) -> bool:
    """Tell whether a text was given that the database can't hold, so that nothing in it can be meant."""
    return isinstance(exc, DBAPIError) and sqlstates.is_no_text(exc.orig)
