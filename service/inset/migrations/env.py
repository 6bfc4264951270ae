"""Runs the migrations on the database whose URL `inset.schema` hands over."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel

import inset.models  # noqa: F401  (fills SQLModel.metadata)
from inset.engines import is_postgres, new_engine

_UPGRADING = 0x1_15E6
"""The advisory lock of whoever changes the schema, on PostgreSQL: replicas may upgrade at once when they start."""


def _run(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_UPGRADING})"))
    context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


def _forget_references(connection: Any, _record: Any) -> None:
    # SQLite changes a table by copying it, and would take the old one's end for that of its rows.
    connection.execute("PRAGMA foreign_keys=OFF").close()


async def _migrate() -> None:
    engine = new_engine(context.config.attributes["url"])
    if not is_postgres(engine):
        event.listen(engine.sync_engine, "connect", _forget_references)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


asyncio.run(_migrate())
