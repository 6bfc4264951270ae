"""Writing and reading versions' bytes."""

import hashlib
import logging
import struct
from collections.abc import Collection
from typing import Any, cast

from sqlalchemy import bindparam, insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.cells import Cut
from inset.db import ask, once_committed, recent_documents, table, write
from inset.documents import Document
from inset.encryption import DataKey
from inset.engines.prepared import Prepared
from inset.engines.sqlite_driver import LARGE
from inset.errors import ContentDamaged
from inset.models import Appended, Body, BodyFormat, Held, Notebook, Version
from inset.offload import BRIEF, offload
from inset.recent import Recent
from inset.store import blobs, compression
from inset.store.sealing import body_place, id_of, open_store_key, opened, reading_keys, sealed, writing_key
from inset.store.skeletons import Written, read_skeleton
from inset.store.splitting import join, references
from inset.store.taking_apart import take_apart, weight

log = logging.getLogger(__name__)

_HASHED_FASTER = 4
"""How many times faster bytes are put together and hashed than they are unpacked, or parsed."""

Known = Collection[tuple[int, str]]
"""Versions by their numbers and hashes."""

DAMAGED = (KeyError, ValueError, struct.error, compression.Damaged)
"""What reading raises where bytes are missing, or are not those that were written."""


async def write_body(
    db: AsyncSession, notebook: Held, version: Appended, document: Document, *, known: Known = ()
) -> None:
    """Store a version's bytes. `known` are versions of the notebook that are there: what they have in it is, too."""
    data_key = await writing_key(db, notebook.host_id)
    store_key = open_store_key(db, notebook.host_id, notebook.store_key)
    taken = await offload(weight(document.size, document.cut), take_apart, document.content, document.cut, store_key)
    recent = recent_documents(db).of(notebook.id)
    there = recent.blobs if recent and (recent.number, recent.sha256) in known else frozenset()
    pieces = {key: piece for key, piece in taken.pieces.items() if key not in there}
    if pieces:
        await blobs.keep(db, notebook.host_id, notebook.id, pieces, data_key=data_key)
    written = Written(taken.packed, "quick")
    body = {"notebook_id": notebook.id, "number": version.number, "format": written.format}
    body |= await sealed_body(notebook.id, version.number, written, data_key)
    await write(db, _INSERTED, body)
    once_committed(db, lambda: _remember(db, notebook, version, document, frozenset(taken.pieces)))


def _remember(db: AsyncSession, notebook: Held, version: Appended, document: Document, keys: frozenset[bytes]) -> None:
    if document.cut:
        owner = notebook.host_id, notebook.owner
        recent = Recent(owner, version.number, version.sha256, version.size, document.cut, keys)
        recent_documents(db).remember(notebook.id, recent)


async def take_apart_into_blobs(
    db: AsyncSession, notebook: Notebook, content: bytes, *, store_key: bytes, data_key: DataKey | None
) -> Written:
    """Store the large pieces of a version's bytes as blobs, unless they are there; give the rest, compressed."""
    taken = await offload(len(content), take_apart, content, None, store_key)
    if taken.pieces:
        await blobs.keep(db, notebook.host_id, notebook.id, taken.pieces, data_key=data_key)
    return Written(taken.packed, "quick")


async def sealed_body(
    notebook_id: str, number: int, written: Written, data_key: DataKey | None
) -> dict[str, bytes | str | None]:
    """Give what a body's row says of its content, encrypted if there is a key."""
    place = body_place(notebook_id, number, written.format, written.base)
    content = await offload(len(written.content), sealed, written.content, data_key, place)
    return {"content": content, "data_key": id_of(data_key)}


async def read_body(db: AsyncSession, version: Version) -> bytes:
    """Read a version's bytes. Raises `ContentDamaged` if they are no longer those that were stored."""
    recent = recent_documents(db).of(version.notebook_id)
    if recent and recent.cut.cells and (recent.number, recent.sha256) == (version.number, version.sha256):
        # It is compared with the hash like any other: whatever goes wrong here, the database has it.
        remembered = await offload(version.size // _HASHED_FASTER, _checked, recent.cut, version.sha256)
        if remembered is not None:
            return remembered
    try:
        brief = version.size <= BRIEF
        text = await read_skeleton_of(db, version.notebook_id, version.number, brief=brief)
        pieces = await blobs.fetch(db, version.notebook_id, references(text), brief=brief)
        return await offload(version.size, _put_together, text, pieces, version.sha256)
    except DAMAGED as exc:
        log.error("notebook %s, version %d: its bytes are damaged (%r)", version.notebook_id, version.number, exc)
        raise ContentDamaged from exc


def _chain() -> Any:
    here = col(Body.notebook_id) == bindparam("id")
    chain = select(Body.number, Body.base).where(here, Body.number == bindparam("number")).cte(recursive=True)
    chain = chain.union_all(select(Body.number, Body.base).where(here, Body.number == chain.c.base))
    columns: list[Any] = [Body.number, Body.content, Body.format, Body.base, Body.data_key]
    return select(*columns).where(here, col(Body.number).in_(select(chain.c.number)))


# Asked with every load or save, and so built once.
_CHAIN = Prepared(_chain())
_LARGE_CHAIN = Prepared(_chain().prefix_with(LARGE, dialect="sqlite"))
_INSERTED = Prepared(insert(table(Body)).inline())


async def read_bodies(db: AsyncSession, notebook_id: str, number: int, *, brief: bool = False) -> dict[int, Written]:
    """Read a version's body, and those that it stands on. Raises `Sealed`."""
    rows = await ask(db, _CHAIN if brief else _LARGE_CHAIN, id=notebook_id, number=number)
    keys = await reading_keys(db, {data_key for *_, data_key in rows})

    def opened_bodies() -> dict[int, Written]:
        return {
            number: Written(
                opened(content, data_key, keys, body_place(notebook_id, number, format, base)),
                cast("BodyFormat", format),
                base,
            )
            for number, content, format, base, data_key in rows
        }

    return await offload(sum(len(content) for _, content, *_ in rows), opened_bodies)


async def read_skeleton_of(db: AsyncSession, notebook_id: str, number: int, *, brief: bool = False) -> bytes:
    """Read a version's skeleton; `brief` if that is known to be at most `BRIEF`. Raises one of `DAMAGED`."""
    bodies = await read_bodies(db, notebook_id, number, brief=brief)
    return await offload(sum(len(body.content) for body in bodies.values()), read_skeleton, number, bodies)


def _checked(cut: Cut, sha256: str) -> bytes | None:
    content = cut.content
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def _put_together(text: bytes, pieces: dict[bytes, bytes], sha256: str) -> bytes:
    content = join(text, pieces)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("they have another hash")
    return content
