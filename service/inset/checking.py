"""Whether a database holds what it says it holds: every version's bytes, every reference."""

from collections.abc import AsyncIterator, Callable

from sqlalchemy import ForeignKeyConstraint, and_, func, or_, tuple_
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.db import Database
from inset.errors import ContentDamaged
from inset.models import BURIED, Notebook, Version
from inset.store.sealing import locked_keys
from inset.versions import read_document

_PAGE = 100


async def check_database(database: Database, *, told: Callable[[str], None]) -> AsyncIterator[str]:
    """Read one state of the whole database, and give a line for everything that is wrong. `told` hears how far it is.

    It runs beside live traffic, and no more than one version's bytes are in memory at once.
    """
    async with database.transaction(read_only=True) as db:
        for check in (_references, _notebooks, _parents):
            async for finding in check(db):
                yield finding
        for locked in await locked_keys(db):
            yield locked
        async for finding in _contents(db, told):
            yield finding


async def _references(db: AsyncSession) -> AsyncIterator[str]:
    """Look for rows that refer to one that is not there: the database refuses them, unless it was damaged."""
    for table in SQLModel.metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            missing = await _dangling(db, key)
            if missing:
                there = f"{key.referred_table.name}.{key.elements[0].column.name}"
                yield f"{table.name}: {missing} rows refer to a {there} that is not there"


async def _dangling(db: AsyncSession, key: ForeignKeyConstraint) -> int:
    there = key.referred_table.alias()
    pairs = [(element.parent, there.columns[element.column.name]) for element in key.elements]
    joined = key.parent.outerjoin(there, and_(*[here == other for here, other in pairs]))
    missing = [here.is_not(None) for here, _ in pairs] + [pairs[0][1].is_(None)]
    rows = select(func.count()).select_from(joined).where(*missing)
    return (await db.exec(rows)).one()


async def _notebooks(db: AsyncSession) -> AsyncIterator[str]:
    current = and_(col(Version.notebook_id) == Notebook.id, col(Version.number) == Notebook.current)
    found = select(Notebook.id, Notebook.current, Version.number, Version.aside).outerjoin(Version, current)
    no_line = or_(col(Version.number).is_(None), col(Version.aside).is_not(None))
    stays = col(Notebook.deleted_at).is_distinct_from(BURIED)  # the others are half removed, newest first
    for id, number, there, _ in await db.exec(found.where(no_line, stays)):
        yield f"notebook {id}: its current version {number} is {'beside its line' if there else 'not there'}"
    newest = select(col(Version.notebook_id), func.max(Version.number).label("number")).group_by(
        col(Version.notebook_id)
    )
    last = newest.subquery()
    counted = select(Notebook.id, Notebook.last_number, last.c.number).join(last, last.c.notebook_id == Notebook.id)
    for id, counter, number in await db.exec(counted.where(last.c.number > Notebook.last_number)):
        yield f"notebook {id}: it has a version {number}, and its counter is at {counter}"


async def _parents(db: AsyncSession) -> AsyncIterator[str]:
    # One that is not there may have been thinned out; one that is not older can't be true.
    for name in ("parent", "merged"):
        other = col(getattr(Version, name))
        wrong = select(Version.notebook_id, Version.number, other).where(or_(other < 1, other >= Version.number))
        for id, number, named in await db.exec(wrong):
            yield f"notebook {id}, version {number}: its {name} {named} is not an older version"


async def _contents(db: AsyncSession, told: Callable[[str], None]) -> AsyncIterator[str]:
    total = (await db.exec(select(func.count()).select_from(Version))).one()
    done, last = 0, ("", 0)
    key = (col(Version.notebook_id), col(Version.number))
    ordered = select(Version).order_by(*key).limit(_PAGE)
    while versions := (await db.exec(ordered.where(tuple_(*key) > last))).all():
        for version in versions:
            last, done = (version.notebook_id, version.number), done + 1
            wrong = await _wrong_content(db, version)
            if wrong:
                yield f"notebook {version.notebook_id}, version {version.number}: {wrong}"
            told(f"{done:,} of {total:,} versions")


async def _wrong_content(db: AsyncSession, version: Version) -> str | None:
    try:
        content = (await read_document(db, version)).content
    except ContentDamaged:
        return "its content is damaged, or not there"
    if len(content) != version.size:
        return f"its content has {len(content):,} bytes instead of {version.size:,}"
    return None
