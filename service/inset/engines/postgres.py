"""PostgreSQL, the production database: its pool, its transactions, its time-outs.

`docs/decisions/0011-postgresql.md` says why they are as they are.
"""

import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy import URL, PoolProxiedConnection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from inset.errors import DatabaseUnavailable
from inset.settings import DatabaseSettings

_SILENT_SECONDS = 15
"""After so many without a sign of life from its machine a connection is dead. TCP alone would wait for a quarter of an
hour; a database that is only slow is no matter, since its machine answers for it."""


def new_engine(url: URL, settings: DatabaseSettings | None) -> AsyncEngine:
    """Make an engine with the service's pool and time-outs; without `settings`, one for long work without a pool."""
    common: dict[str, Any] = {"isolation_level": "READ COMMITTED"}
    if settings is None:
        # Whatever the role or the database is set to: long work must not be cut off.
        times = dict.fromkeys(("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"), "0")
        engine = create_async_engine(url, poolclass=NullPool, connect_args=_connecting(times), **common)
    else:
        times = {
            "statement_timeout": _milliseconds(settings.statement_timeout),
            "lock_timeout": _milliseconds(settings.lock_timeout),
            "idle_in_transaction_session_timeout": _milliseconds(settings.transaction_timeout),
        }
        engine = create_async_engine(
            url,
            pool_size=settings.pool_size,
            max_overflow=settings.pool_overflow,
            pool_timeout=settings.pool_timeout.total_seconds(),
            # Instead of a ping, which is three ways there and back: `direct.py` begins anew where one was lost.
            pool_reset_on_return=None,
            connect_args=_connecting(times, timeout=settings.connect_timeout.total_seconds()),
            **common,
        )

    @event.listens_for(engine.sync_engine, "handle_error")
    def from_the_wire(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, OSError):
            raise DatabaseUnavailable from context.original_exception

    return engine


ERRORS: tuple[type[Exception], ...] = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""What the driver raises where the database refuses something, or is not there."""


async def begin(held: PoolProxiedConnection, *, read_only: bool, durable: bool) -> None:
    """Begin; a transaction that only reads sees one snapshot, whatever is committed meanwhile, and may not write."""
    # Always durable: what its server has not written yet, PostgreSQL loses with its server.
    adapter: Any = held.dbapi_connection
    adapter.isolation_level = "repeatable_read" if read_only else "read_committed"
    adapter.readonly = read_only
    transaction = adapter._connection.transaction(isolation=adapter.isolation_level, readonly=read_only)
    await transaction.start()
    adapter._transaction = transaction  # as if SQLAlchemy had begun it, which then can go on in it and end it


async def run(connection: Any, text: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """Execute a statement, which the server prepares the first time, and give all its rows."""
    rows: Sequence[Sequence[Any]] = await connection.fetch(text, *values)
    return rows


async def run_many(connection: Any, text: str, values: Sequence[Sequence[Any]]) -> None:
    """Execute a statement for each of these values, on one way to the server."""
    await connection.executemany(text, values)


async def commit(held: PoolProxiedConnection) -> None:
    """Commit, if there is a transaction."""
    await _end(held, "commit")


async def rollback(held: PoolProxiedConnection) -> None:
    """Roll back, if there is a transaction."""
    await _end(held, "rollback")


async def _end(held: PoolProxiedConnection, how: str) -> None:
    adapter: Any = held.dbapi_connection
    transaction, adapter._transaction = adapter._transaction, None
    if transaction is not None:
        await getattr(transaction, how)()


def is_lost(held: PoolProxiedConnection) -> bool:
    """Tell whether a connection is of no use any more."""
    return not held.is_valid or _driver(held).is_closed()


def _driver(held: PoolProxiedConnection) -> Any:
    return held.driver_connection


def _connecting(times: dict[str, str], **options: Any) -> dict[str, Any]:
    return {"async_creator_fn": _connect, "server_settings": {"application_name": "inset", **times}, **options}


async def _connect(*arguments: Any, **options: Any) -> asyncpg.Connection:
    """Connect. Whatever keeps us from it, a wrong password included, is told as the one SQLSTATE for it."""
    try:
        connection = await asyncpg.connect(*arguments, **options)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        raise asyncpg.exceptions.ClientCannotConnectError(str(exc) or type(exc).__name__) from exc
    _notice_silence(connection)
    return connection


def _notice_silence(connection: asyncpg.Connection) -> None:
    """Have the system end a connection whose other end is gone, be it in the middle of a question or idle."""
    # asyncpg offers no other way to its socket.
    wire: socket.socket | None = connection._transport.get_extra_info("socket")
    if wire is None or wire.family not in (socket.AF_INET, socket.AF_INET6) or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENT_SECONDS * 1000)


def _milliseconds(span: timedelta) -> str:
    return str(int(span.total_seconds() * 1000))
