"""PostgreSQL, the production database: its pool, its transactions, its time-outs.

`docs/decisions/0011-postgresql.md` says why they are as they are.
"""

import socket
from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy import URL, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from inset.errors import DatabaseUnavailable
from inset.settings import DatabaseSettings

_SILENT_SECONDS = 15
"""After so many without a sign of life from its machine a connection is dead. TCP alone would wait for a quarter of an
hour; a database that is only slow is no matter, since its machine answers for it."""

_READ_ONLY_TRANSACTION = "25006"

_NO_TEXT = "22021"

_AWAY_CLASSES = ("08", "53", "57", "58")
"""Classes of SQLSTATE: no connection, no room or memory, stopped by its operator or by a time-out, a broken disk."""

_AWAY = frozenset({"25P03", "40001", "40P01", "55P03"})
"""And of others: idle within a transaction, serialisation, deadlock, a lock that was not to be had in time."""


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
            pool_pre_ping=True,
            connect_args=_connecting(times, timeout=settings.connect_timeout.total_seconds()),
            **common,
        )

    @event.listens_for(engine.sync_engine, "handle_error")
    def from_the_wire(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, OSError):
            raise DatabaseUnavailable from context.original_exception

    return engine


def reading(engine: AsyncEngine) -> AsyncEngine:
    """Give an engine whose transactions see one snapshot, whatever is committed meanwhile, and may not write."""
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def is_away(error: BaseException | None, *, read_only: bool) -> bool:
    """Tell whether an error of the driver says nothing against what was asked."""
    state = getattr(error, "sqlstate", None) or ""
    if state == _READ_ONLY_TRANSACTION:
        # A standby, or a disk that is being repaired. In a transaction that we began to read it is our mistake.
        return not read_only
    return state[:2] in _AWAY_CLASSES or state in _AWAY


def is_no_text(error: BaseException | None) -> bool:
    """Tell whether an error means that a text was given which PostgreSQL cannot hold: one with a NUL."""
    return getattr(error, "sqlstate", None) == _NO_TEXT


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
