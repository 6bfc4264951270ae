"""The one piece of code that stores a version, whoever asks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, insert, or_, update
from sqlalchemy import select as select_columns
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.audit import record_save
from inset.clock import now
from inset.db import ask, once_committed, table, write
from inset.documents import Document
from inset.engines.prepared import Prepared
from inset.errors import VersionConflict, VersionNotFound
from inset.metrics import SAVE_BYTES, SAVE_SECONDS, SAVES
from inset.models import Appended, Held, Host, Notebook, Origin, Version
from inset.offload import offload
from inset.store.bodies import read_body, write_body


@dataclass(frozen=True)
class Stored:
    """What became of a document that was to be stored."""

    version: Version | Appended
    created: bool
    """False if it equals the version it would have followed, so that none was made."""

    conflict: VersionConflict | None = None
    """Set if it was not based on the current version: it is then kept beside it."""


async def store(
    db: AsyncSession,
    notebook: Notebook | Held,
    document: Document,
    *,
    base: int,
    origin: Origin,
    author: str,
    unanswered: Sequence[str] = (),
    merged: int | None = None,
) -> Stored:
    """Append a version to a notebook, as its current one or, where `base` is no longer current, on the side.

    A base that was there and that retention has removed is an old one like any other. Raises `VersionNotFound` for one
    that never was. `unanswered` are the hashes of what the writer has sent on this base without hearing of it: where
    one of them was stored, the document is based on that. `merged` is a version on the side that it takes in.
    """
    if "sha256" not in vars(document):  # hashing is none of the loop's work
        await offload(document.size, lambda: document.sha256)
    began = time.perf_counter()
    held = notebook if isinstance(notebook, Held) else await _hold(db, notebook)
    if base > held.last_number:
        raise VersionNotFound
    if unanswered:
        base = await _last_stored(db, held, unanswered, author=author, after=base) or base
    known = await _known(db, held, document, base=base)
    same = next((version for version in known if version.sha256 == document.sha256), None)
    based_on = next((version for version in known if version.number == base), None)
    if based_on and based_on.aside == "open" and based_on is not same:
        # Of a line beside the notebook's own, only the newest version waits for somebody to take a side.
        (await _fresh(db, held, base)).aside = "settled"
    if same:
        stored = await _kept(db, held, same.number, base=base, origin=origin)
    else:
        version = Appended(
            notebook_id=held.id,
            number=held.last_number + 1,
            parent=base or None,
            sha256=document.sha256,
            size=document.size,
            origin=origin,
            author=author,
            valid=document.valid,
            aside=None if held.current == base else "open",
            merged=merged,
            created_at=now(),
        )
        await _append(db, held, version)
        await write_body(db, held, version, document, known=[(each.number, each.sha256) for each in known])
        record_save(db, held, version, base=based_on)
        stored = Stored(version, created=True, conflict=_conflict(held, base=base, kept=version))
    if isinstance(notebook, Notebook):
        _tell(notebook, held)
    once_committed(db, lambda: _count(stored, origin, began))
    return stored


async def _kept(db: AsyncSession, held: Held, number: int, *, base: int, origin: Origin) -> Stored:
    """Have a version stand for a document that equals it."""
    kept = await _fresh(db, held, number)
    if origin == "save" and kept.origin == "autosave":
        kept.origin = origin  # somebody now means it: retention must not take it for one of many
        record_save(db, held, kept, base=None)
    return Stored(kept, created=False, conflict=_conflict(held, base=base, kept=kept))


async def _append(db: AsyncSession, held: Held, version: Appended) -> None:
    """Write a version and what it makes of its notebook: as the ORM would, which takes three times as long."""
    changed: dict[str, Any] = {"last_number": version.number, "updated_at": version.created_at}
    if version.aside is None:
        changed["current"] = version.number
    await write(db, _APPENDED, version._asdict())
    await write(db, _FOLLOWED, {**changed, "notebook": held.id})
    held.follow(changed)


def _count(stored: Stored, origin: Origin, began: float) -> None:
    outcome = "conflict" if stored.conflict else "stored" if stored.created else "unchanged"
    SAVES.labels(origin, outcome).inc()
    SAVE_SECONDS.observe(time.perf_counter() - began)
    if stored.created:
        SAVE_BYTES.observe(stored.version.size)


async def get_version(db: AsyncSession, notebook_id: str, number: int) -> Version:
    """Find a version. Raises `VersionNotFound`."""
    version = await db.get(Version, (notebook_id, number))
    if version is None:
        raise VersionNotFound
    return version


async def read_document(db: AsyncSession, version: Version) -> Document:
    """Read a version's bytes. Raises `ContentDamaged`."""
    return Document(await read_body(db, version), valid=version.valid)


# Asked with every save, and so built once.
_HOLDING = (
    select_columns(
        *(table(Notebook).c[column.name] for column in fields(Held) if column.name != "store_key"),
        col(Host.store_key),
    )
    .join(Host, col(Host.id) == Notebook.host_id)
    .with_for_update(of=Notebook, key_share=True)
)


def holding(*which: ColumnElement[bool]) -> Prepared:
    """Make a statement for `hold`, of the notebook that is meant, if it is there."""
    return Prepared(_HOLDING.where(*which))


_BY_ID = holding(col(Notebook.id) == bindparam("id"))
_APPENDED = Prepared(insert(table(Version)).inline())
_FOLLOWED = Prepared(update(table(Notebook)).where(table(Notebook).c.id == bindparam("notebook")))
_KNOWN = Prepared(
    select(Version.number, Version.sha256, Version.origin, Version.aside, Version.created_at)  # type: ignore[call-overload]
    .where(
        Version.notebook_id == bindparam("id"),
        or_(
            col(Version.number).in_((bindparam("current"), bindparam("base"))),
            and_(col(Version.parent) == bindparam("base"), col(Version.sha256) == bindparam("sha256")),
        ),
    )
    .order_by(col(Version.number).desc())
)


async def hold(db: AsyncSession, which: Prepared, **given: Any) -> Held | None:
    """Have whoever stores the same notebook wait, so that what follows is decided on what is so."""
    found = await ask(db, which, **given)
    return Held(*found[0]) if found else None


async def _hold(db: AsyncSession, notebook: Notebook) -> Held:
    held = await hold(db, _BY_ID, id=notebook.id)
    assert held is not None
    _tell(notebook, held)
    return held


def _tell(notebook: Notebook, held: Held) -> None:
    """Tell the ORM's object what its row is now."""
    for name in ("name", "current", "last_number", "updated_at"):
        set_committed_value(notebook, name, getattr(held, name))


async def _known(db: AsyncSession, notebook: Held, document: Document, *, base: int) -> Sequence[Any]:
    """Find the base, and what this document may be already: it, the current version, or one whose answer got lost."""
    return await ask(db, _KNOWN, id=notebook.id, current=notebook.current, base=base, sha256=document.sha256)


async def _fresh(db: AsyncSession, notebook: Held, number: int) -> Version:
    """Give a version that is there as it is now, to be changed."""
    return await db.get_one(Version, (notebook.id, number), populate_existing=True)


async def _last_stored(
    db: AsyncSession, notebook: Held, hashes: Sequence[str], *, author: str, after: int
) -> int | None:
    """Find the newest of a writer's versions that are one of these contents."""
    wanted = select(Version.number).where(
        Version.notebook_id == notebook.id,
        Version.number > after,
        Version.author == author,
        col(Version.sha256).in_(hashes),
    )
    return (await db.exec(wanted.order_by(col(Version.number).desc()))).first()


def _conflict(notebook: Held, *, base: int, kept: Version | Appended) -> VersionConflict | None:
    if notebook.current == kept.number:
        return None
    resolve = f"/v1/notebooks/{notebook.id}/versions/{kept.number}/resolve" if kept.aside else None
    return VersionConflict(base=base, current=notebook.current, kept=kept.number, resolve=resolve)
