"""Packing blobs: images as what they are, compressed hard, or as what differs from the output that was there before.

A blob is packed once, and stands only on what was packed before it, so that no two ever stand on each other.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import insert, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.db import Database
from inset.models import Blob, BlobBase, Host
from inset.offload import offload
from inset.store import blobs, compression, decoding
from inset.store.bodies import DAMAGED
from inset.store.chains import Kept, chain, keys_for, opened_blob, piece, read_blobs, unpacked
from inset.store.sealing import blob_place, id_of, open_store_key, sealed, writing_key

log = logging.getLogger(__name__)

_LONGEST_CHAIN = 8
"""How many blobs a read of one unpacks at the most."""
_HEAVIEST_CHAIN = 2
"""How much of them it reads, in multiples of what the blob would take by itself."""
_ROW = 64
"""About what it takes to note that a blob stands on another: a patch has to save more."""
_AT_ONCE = 100
_BYTES_AT_ONCE = 8 * 1024 * 1024
"""What one transaction writes at the most, but for a blob that is larger."""


@dataclass
class Packed:
    """How much was packed, and how large it was before and after."""

    bodies: int = 0
    blobs: int = 0
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class _Made:
    kept: Kept
    before: int


async def pack_blobs(
    database: Database, host_id: str, wanted: Iterable[tuple[bytes, bytes | None]], done: Packed
) -> None:
    """Pack blobs of a host application, of these keys and in this order, that were not packed before.

    With each comes the key of one it may stand on, if there is one. What is damaged stays as it is.
    """
    waiting = list(wanted)
    while waiting:
        made: dict[bytes, _Made] = {}
        async with database.transaction(read_only=True) as db:
            taken = await _take_some(db, host_id, waiting, made)
        await _write(database, host_id, made, done)
        del waiting[:taken]


async def _take_some(
    db: AsyncSession, host_id: str, waiting: list[tuple[bytes, bytes | None]], made: dict[bytes, _Made]
) -> int:
    """Pack the first of what waits, as much as is written at once. Gives how many were looked at."""
    host = await db.get(Host, host_id)
    if host is None:
        return len(waiting)
    store_key = open_store_key(db, host_id, host.store_key)
    known: dict[bytes, Kept] = {}
    taken = size = 0
    for key, predecessor in waiting[:_AT_ONCE]:
        taken += 1
        try:
            await _read(db, host_id, key, known)
            if key not in known or known[key].format != "quick":
                continue  # removed, or packed, meanwhile
            before = len(known[key].content)
            bases = await _bases(db, host_id, predecessor, known)
            kept = await offload(before, _smaller, key, bases, known, store_key)
            known[key], made[key] = kept, _Made(kept, before)
        except DAMAGED as exc:
            log.error("a blob of %s is damaged, and not packed: %s (%r)", host_id, key.hex(), exc)
            known.pop(key, None)
        size = sum(len(one.content) for one in known.values())
        if size >= _BYTES_AT_ONCE:
            break
    return taken


async def _read(db: AsyncSession, host_id: str, key: bytes, known: dict[bytes, Kept]) -> None:
    if key not in known:
        rows = await read_blobs(db, host_id, [key])
        keys_of = await keys_for(db, rows)
        known |= dict(opened_blob(row, keys_of) for row in rows if row[0] not in known)


async def _bases(db: AsyncSession, host_id: str, predecessor: bytes | None, known: dict[bytes, Kept]) -> list[bytes]:
    """Name what a blob may stand on: the one before it, or the one at the bottom of that one's chain."""
    if predecessor is None:
        return []
    try:
        await _read(db, host_id, predecessor, known)
        below = list(chain(predecessor, known))
    except DAMAGED:
        return []  # that it is damaged is told where it is to be packed itself, and by `inset db check`
    if any(one.format == "quick" for one in below):
        return []
    return list(dict.fromkeys([predecessor, *[one.base for one in below if one.base][-1:]]))


def _smaller(key: bytes, bases: list[bytes], known: Mapping[bytes, Kept], store_key: bytes) -> Kept:
    """Write a blob as small as it gets. Raises one of `DAMAGED`."""
    quick = known[key]
    text = piece(key, known)
    if blobs.name(text, store_key) != key:
        raise ValueError("it is not what its key was made of")
    decoded = decoding.decode(text)
    if decoded is not None and decoding.encode(decoded) == text:
        content, whole = decoded, Kept(compression.pack_hard(decoded), "decoded")
    else:
        content, whole = text, Kept(min(compression.pack_hard(text), quick.content, key=len), "packed")
    for base in bases:
        patched = _patched(content, base, whole, known, store_key)
        if patched is not None:
            return patched
    return whole


def _patched(content: bytes, base: bytes, whole: Kept, known: Mapping[bytes, Kept], store_key: bytes) -> Kept | None:
    below = list(chain(base, known))
    if len(below) >= _LONGEST_CHAIN:
        return None
    try:
        under = unpacked(base, known)
        patch = compression.patch(content, under)
        weight = sum(len(one.content) for one in below) + len(patch)
        if len(patch) + _ROW > len(whole.content) or weight > _HEAVIEST_CHAIN * len(whole.content):
            return None
        sound = blobs.name(piece(base, known), store_key) == base and compression.unpatch(patch, under) == content
    except DAMAGED:
        return None
    return Kept(patch, whole.format, base) if sound else None


async def _write(database: Database, host_id: str, made: Mapping[bytes, _Made], done: Packed) -> None:
    if not made:
        return
    async with database.transaction() as db:
        data_key = await writing_key(db, host_id)
        bases = {one.kept.base for one in made.values() if one.kept.base}
        # In the order of the keys, as everybody takes them. Who saves what has them in it does not wait for this.
        held = select(Blob.key, Blob.format).where(Blob.host_id == host_id, col(Blob.key).in_({*made, *bases}))
        formats = dict((await db.exec(held.order_by(col(Blob.key)).with_for_update(key_share=True))).all())
        for key, one in made.items():
            base = one.kept.base
            # Another packer may have been here, and a blob that nothing needed may be gone.
            if formats.get(key) != "quick" or (base and formats.get(base, "quick") == "quick"):
                continue
            place = blob_place(key, one.kept.format, base)
            content = await offload(len(one.kept.content), sealed, one.kept.content, data_key, place)
            changing = update(Blob).where(col(Blob.host_id) == host_id, col(Blob.key) == key)
            await db.exec(changing.values(format=one.kept.format, content=content, data_key=id_of(data_key)))
            if base:
                await db.exec(insert(BlobBase).values(host_id=host_id, key=key, base=base))
            formats[key] = one.kept.format
            done.blobs += 1
            done.before += one.before
            done.after += len(one.kept.content)
