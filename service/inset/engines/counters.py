"""The counters behind growing ids: what they have given, and from where they go on."""

from sqlalchemy import Table, text
from sqlmodel.ext.asyncio.session import AsyncSession

_POSTGRES = """
    SELECT last_value FROM pg_sequences
    WHERE to_regclass(format('%I.%I', schemaname, sequencename)) = to_regclass(pg_get_serial_sequence(:table, :column))
"""
_SQLITE = "SELECT seq FROM sqlite_sequence WHERE name = :table"


def has_counter(table: Table) -> bool:
    """Tell whether the database counts a table's ids."""
    return table.autoincrement_column is not None


async def last_id(db: AsyncSession, table: Table) -> int:
    """Tell the last id that a table's counter has given, whether its row is still there or not; 0 if none."""
    column = table.autoincrement_column
    assert column is not None
    postgres = await _on_postgres(db)
    names = {"table": table.name, "column": column.name} if postgres else {"table": table.name}
    found = await db.exec(text(_POSTGRES if postgres else _SQLITE), params=names)  # type: ignore[call-overload]
    return int(found.scalar() or 0)


async def go_on_after(db: AsyncSession, table: Table, id: int) -> None:
    """Have the next id of a table be greater than this one."""
    column = table.autoincrement_column
    assert column is not None
    if await _on_postgres(db):
        if id:
            set_value = text("SELECT setval(pg_get_serial_sequence(:table, :column), :id)")
            named = {"table": table.name, "column": column.name, "id": id}
            await db.exec(set_value, params=named)  # type: ignore[call-overload]
        return
    # The counter of a table that never had a row has no row itself.
    for statement in (
        "DELETE FROM sqlite_sequence WHERE name = :table",
        "INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :id)",
    ):
        named = {"table": table.name, "id": id} if ":id" in statement else {"table": table.name}
        await db.exec(text(statement), params=named)  # type: ignore[call-overload]


async def _on_postgres(db: AsyncSession) -> bool:
    return (await db.connection()).dialect.name == "postgresql"
