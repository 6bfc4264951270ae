"""What is in a database, whichever release's schema it is at."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, MetaData, select
from sqlalchemy.ext.asyncio import create_async_engine

Rows = list[dict[str, Any]]

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


async def everything(url: str) -> dict[str, Rows]:
    """Read every table that the database has."""
    scheme, _, rest = url.partition(":")
    engine = create_async_engine(f"{_DRIVERS[scheme]}:{rest}")
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_read)
    finally:
        await engine.dispose()


def missing(before: Mapping[str, Rows], after: Mapping[str, Rows]) -> list[str]:
    """Name the tables of which some row is not what it was, in the columns that it had."""
    return [name for name, rows in before.items() if not _kept(rows, after.get(name, []))]


def _kept(before: Rows, after: Rows) -> bool:
    columns = before[0].keys() if before else ()
    there = {repr([row.get(column) for column in columns]) for row in after}
    return all(repr([row[column] for column in columns]) in there for row in before)


def _read(connection: Connection) -> dict[str, Rows]:
    metadata = MetaData()
    metadata.reflect(connection)
    tables = [table for table in metadata.sorted_tables if table.name != "alembic_version"]
    return {table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in tables}
