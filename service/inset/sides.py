"""Versions that a conflict kept beside their notebook's line: how they are brought back into it, or left."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.db import HELD
from inset.documents import Document
from inset.errors import MergeConflict, NotebookTooLarge, NotMergeable, NotOnTheSide
from inset.models import Notebook, Take, Version
from inset.versions import Stored, get_version, read_document, store

if TYPE_CHECKING:
    from inset.merging import Unsettled


@dataclass(frozen=True)
class _Sides:
    """What stands against what."""

    current: int
    kept: int
    """The newest version of the line beside the notebook's own. It holds all that the ones before it do."""


async def resolve(db: AsyncSession, notebook: Notebook, number: int, take: Take, *, author: str, limit: int) -> Stored:
    """Settle a version on the side: what was saved on top of it there is meant, too.

    One that is settled already stays so, and the answer is the version that took it in, or the current one. A save
    that comes in between is merged as well, so that nothing is lost. Raises `VersionNotFound`, `NotOnTheSide`,
    `MergeConflict`, `NotMergeable` or `NotebookTooLarge`. Commits before a merge, which may take seconds.
    """
    sides = await _sides(db, notebook, number)
    merged: Document | None = None
    while take == "merge" and sides and not merged:
        merged, seen = await _merge(db, notebook, sides), sides
        sides = await _sides(db, notebook, number)
        if sides != seen:
            merged = None
    if sides is None:
        return Stored(await _taken_in(db, notebook, number), created=False)
    kept = await get_version(db, notebook.id, sides.kept)
    kept.aside = "settled"
    if take == "theirs":
        return Stored(await get_version(db, notebook.id, sides.current), created=False)
    document = merged or await read_document(db, kept)
    if document.size > limit:
        raise NotebookTooLarge(limit)
    origin: Literal["merge", "restore"] = "merge" if merged else "restore"
    return await store(db, notebook, document, base=sides.current, origin=origin, author=author, merged=kept.number)


async def _merge(db: AsyncSession, notebook: Notebook, sides: _Sides) -> Document:
    numbers = await _common_ancestor(db, notebook.id, sides), sides.kept, sides.current
    three = [await read_document(db, await get_version(db, notebook.id, number)) for number in numbers]
    await db.commit()  # nobody's save waits for this
    merged = await asyncio.to_thread(_merged, *three)
    if isinstance(merged, Document):
        return merged
    raise MergeConflict([each.model_dump() for each in merged], current=sides.current, kept=sides.kept)


def _merged(base: Document, mine: Document, theirs: Document) -> "Document | list[Unsettled]":
    from inset.merging import merge  # here, in the thread: nbdime with it, which few merges need and no start

    return merge(base, mine, theirs)


async def _sides(db: AsyncSession, notebook: Notebook, number: int) -> _Sides | None:
    """Find what is to be settled, and let nobody store anything until it is; None if it has been settled."""
    await db.refresh(notebook, with_for_update=HELD)
    beside = select(Version).where(Version.notebook_id == notebook.id, col(Version.aside).is_not(None))
    versions = (await db.exec(beside.order_by(col(Version.number)).execution_options(populate_existing=True))).all()
    line = {number}
    newest = await get_version(db, notebook.id, number)
    if newest.aside is None:
        raise NotOnTheSide
    for version in versions:
        if version.parent in line:
            line.add(version.number)
            newest = version
    return _Sides(notebook.current, newest.number) if newest.aside == "open" else None


async def _taken_in(db: AsyncSession, notebook: Notebook, number: int) -> Version:
    taken_in = select(Version).where(Version.notebook_id == notebook.id, Version.merged == number)
    by = (await db.exec(taken_in)).first()
    return by or await get_version(db, notebook.id, notebook.current)


async def _common_ancestor(db: AsyncSession, notebook_id: str, sides: _Sides) -> int:
    """Find the newest version that both go back to, by what they were based on and what they took in.

    Raises `NotMergeable` if there is none.
    """
    columns = select(Version.number, Version.parent, Version.merged, Version.aside)
    rows = (await db.exec(columns.where(Version.notebook_id == notebook_id))).all()
    origins = {number: (parent, merged) for number, parent, merged, _ in rows}
    own_line = [number for number, _, _, aside in rows if aside is None]

    def lineage(number: int) -> set[int]:
        known: set[int] = set()
        ahead: list[int | None] = [number]
        while ahead:
            # One that retention took away: what its notebook's line had before it.
            one = ahead.pop()
            if one not in origins:
                one = max((before for before in own_line if before < one), default=None) if one else None
            if one is not None and one not in known:
                known.add(one)
                ahead += origins[one]
        return known

    common = lineage(sides.kept) & lineage(sides.current)
    if not common:
        raise NotMergeable
    return max(common)
