"""The one piece of code that stores a version, whoever asks."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import HELD
from inset.documents import Document
from inset.errors import VersionConflict, VersionNotFound
from inset.models import Body, Notebook, Origin, Version


@dataclass(frozen=True)
class Stored:
    """What became of a document that was to be stored."""

    version: Version
    created: bool
    """False if it equals the version it would have followed, so that none was made."""

    conflict: VersionConflict | None = None
    """Set if it was not based on the current version: it is then kept beside it."""


async def store(
    db: AsyncSession,
    notebook: Notebook,
    document: Document,
    *,
    base: int,
    origin: Origin,
    author: str,
    unanswered: Sequence[str] = (),
) -> Stored:
    """Append a version to a notebook, as its current one or, where `base` is no longer current, on the side.

    `unanswered` are the hashes of what the writer has sent on this base without hearing of it: where one of them was
    stored, the document is based on that.
    """
    if base:
        await get_version(db, notebook.id, base)
    # Whoever stores the same notebook at this moment waits here, so that what follows is decided on what is so.
    await db.refresh(notebook, with_for_update=HELD)
    if unanswered:
        base = await _last_stored(db, notebook, unanswered, author=author, after=base) or base
    same = await _same(db, notebook, document, base=base)
    if same:
        if origin == "save" and same.origin == "autosave":
            same.origin = origin  # somebody now means it: retention must not take it for one of many
        return Stored(same, created=False, conflict=_conflict(notebook, base=base, kept=same.number))
    number = await _next_number(db, notebook.id)
    version = Version(
        notebook_id=notebook.id,
        number=number,
        parent=base or None,
        sha256=document.sha256,
        size=document.size,
        origin=origin,
        author=author,
        valid=document.valid,
    )
    db.add(version)
    await db.flush()
    db.add(Body(notebook_id=notebook.id, number=number, content=document.content))
    became_current = await db.exec(
        update(Notebook)
        .where(col(Notebook.id) == notebook.id, col(Notebook.current) == base)
        .values(current=number, updated_at=version.created_at)
    )
    await db.refresh(notebook)
    if became_current.rowcount:
        return Stored(version, created=True)
    version.aside = "open"
    return Stored(version, created=True, conflict=_conflict(notebook, base=base, kept=number))


async def get_version(db: AsyncSession, notebook_id: str, number: int) -> Version:
    """Find a version. Raises `VersionNotFound`."""
    version = await db.get(Version, (notebook_id, number))
    if version is None:
        raise VersionNotFound
    return version


async def read_document(db: AsyncSession, version: Version) -> Document:
    """Read a version's bytes."""
    body = (
        await db.exec(select(Body).where(Body.notebook_id == version.notebook_id, Body.number == version.number))
    ).one()
    return Document(body.content, valid=version.valid)


async def _next_number(db: AsyncSession, notebook_id: str) -> int:
    numbered = await db.exec(
        update(Notebook)
        .where(col(Notebook.id) == notebook_id)
        .values(last_number=col(Notebook.last_number) + 1, updated_at=now())
        .returning(col(Notebook.last_number))
    )
    return int(numbered.scalar_one())


async def _same(db: AsyncSession, notebook: Notebook, document: Document, *, base: int) -> Version | None:
    """Find the version that this document already is: the current one, the base, or one whose answer got lost."""
    known = or_(col(Version.number).in_((notebook.current, base)), col(Version.parent) == base)
    wanted = select(Version).where(Version.notebook_id == notebook.id, Version.sha256 == document.sha256, known)
    return (await db.exec(wanted.order_by(col(Version.number).desc()))).first()


async def _last_stored(
    db: AsyncSession, notebook: Notebook, hashes: Sequence[str], *, author: str, after: int
) -> int | None:
    """Find the newest of a writer's versions that are one of these contents."""
    wanted = select(Version.number).where(
        Version.notebook_id == notebook.id,
        Version.number > after,
        Version.author == author,
        col(Version.sha256).in_(hashes),
    )
    return (await db.exec(wanted.order_by(col(Version.number).desc()))).first()


def _conflict(notebook: Notebook, *, base: int, kept: int) -> VersionConflict | None:
    return None if notebook.current == kept else VersionConflict(base=base, current=notebook.current, kept=kept)
