"""Making a store smaller than a save has the time to: off the request path, beside live saves, a little at a time.

What has been done is in the database, so that a packer that was stopped goes on where it was: a notebook's blobs are
packed before those bodies that tell which of them took the place of which.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import func, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.db import Database
from inset.models import Blob, BlobUse, Body, Host, Notebook
from inset.offload import offload
from inset.store.blob_packing import Packed, pack_blobs
from inset.store.bodies import DAMAGED, read_bodies, read_skeleton_of, take_apart_into_blobs
from inset.store.garbage import lock_notebook, rewrite_body
from inset.store.sealing import open_store_key
from inset.store.skeletons import Written, write_skeleton
from inset.store.splitting import references
from inset.store.succession import successions

log = logging.getLogger(__name__)

_LONGEST_CHAIN = 20
"""How many bodies a read unpacks at the most."""
_AT_ONCE = 20
_BYTES_AT_ONCE = 8 * 1024 * 1024
"""How many bodies one transaction writes, and of how many bytes, but for one that is larger."""
_KEYS_AT_ONCE = 1000


async def pack(database: Database, tell: Callable[[str], None]) -> Packed:
    """Pack every version, and every blob, that was not packed before. Raises nothing of its own."""
    done = Packed()
    async with database.transaction(read_only=True) as db:
        ids = (await db.exec(select(Notebook.id).order_by(Notebook.id))).all()
    for count, id in enumerate(ids, start=1):
        await _pack_notebook(database, id, done)
        tell(f"{count:,} of {len(ids):,} notebooks, {done.blobs:,} blobs")
    await _pack_other_blobs(database, done, tell)
    return done


async def _pack_notebook(database: Database, id: str, done: Packed) -> None:
    async with database.transaction(read_only=True) as db:
        notebook = await db.get(Notebook, id)
        if notebook is None:
            return  # purged meanwhile
        listing = select(Body.number, Body.format, Body.base).where(Body.notebook_id == id)
        rows = (await db.exec(listing.order_by(col(Body.number)))).all()
    for number in [number for number, format, _ in rows if format == "whole"]:
        await _split(database, notebook, number, done)
    new = [number for number, format, _ in rows if format in ("quick", "whole")]
    async with database.transaction(read_only=True) as db:
        ordered = await _in_order(db, id, [number for number, *_ in rows], new)
    await pack_blobs(database, notebook.host_id, ordered, done)
    chains = _Chains(rows, quick_to_read={notebook.current, notebook.last_number})
    while new:
        del new[: await _rewrite_some(database, id, new, chains, done)]


class _Chains:
    """Which of a notebook's bodies stand on which."""

    def __init__(self, rows: Sequence[Any], quick_to_read: Collection[int]) -> None:
        self._quick_to_read = quick_to_read
        self._before = dict(zip([number for number, *_ in rows][1:], [number for number, *_ in rows], strict=False))
        self._depths: dict[int, int] = {}
        self._bottoms: dict[int, int] = {}
        for number, _, base in rows:
            self.note(number, base)

    def base_for(self, number: int) -> int | None:
        """Say on which other a body is to stand: the one before it.

        Where that would make the chain too long, and for those that are read most, it is the one at its bottom.
        """
        below = self._before.get(number)
        if below is not None and (number in self._quick_to_read or self._depths[below] + 1 >= _LONGEST_CHAIN):
            return self._bottoms[below]
        return below

    def note(self, number: int, base: int | None) -> None:
        """Hear on which other a body stands; in the order of their numbers."""
        there = base if base in self._depths else None
        self._depths[number] = 0 if there is None else self._depths[there] + 1
        self._bottoms[number] = number if there is None else self._bottoms[there]


async def _in_order(
    db: AsyncSession, notebook_id: str, numbers: Sequence[int], new: Collection[int]
) -> list[tuple[bytes, bytes | None]]:
    """Name a notebook's blobs that are to be packed, as its versions brought them, each with the one before it."""
    noted = (col(BlobUse.host_id) == Blob.host_id, col(BlobUse.key) == Blob.key)
    quick = select(Blob.key).where(BlobUse.notebook_id == notebook_id, *noted, Blob.format == "quick")
    unpacked = set((await db.exec(quick)).all())
    ordered: dict[bytes, bytes | None] = {}
    before: tuple[int, list[bytes]] | None = None
    for previous, number in zip([None, *numbers], numbers, strict=False):
        if not unpacked:
            break
        if number not in new:
            continue
        if previous is not None and (before is None or before[0] != previous):
            before = previous, await _references(db, notebook_id, previous)
        now = await _references(db, notebook_id, number)
        pairs = dict(successions(before[1], now)) if before else {}
        for key in now:
            if key in unpacked:
                ordered[key] = pairs.get(key)
                unpacked.discard(key)
        before = number, now
    return list(ordered.items())


async def _references(db: AsyncSession, notebook_id: str, number: int) -> list[bytes]:
    try:
        return references(await read_skeleton_of(db, notebook_id, number))
    except DAMAGED:
        return []  # told where it is to be packed


async def _split(database: Database, notebook: Notebook, number: int, done: Packed) -> None:
    """Take apart a body of the time before there were skeletons."""
    async with database.transaction() as db:
        data_key = await lock_notebook(db, notebook.id)
        body = await db.get(Body, (notebook.id, number))
        if body is not None and body.format == "whole":
            host = await db.get_one(Host, notebook.host_id)
            try:
                [opened_body] = (await read_bodies(db, notebook.id, number)).values()
            except DAMAGED:
                log.exception("notebook %s, version %d: not packed, its bytes are damaged", notebook.id, number)
                return
            whole = opened_body.content
            store_key = open_store_key(db, host.id, host.store_key)
            written = await take_apart_into_blobs(db, notebook, whole, store_key=store_key, data_key=data_key)
            await rewrite_body(db, notebook.id, number, written, data_key)
            done.before += len(whole)
            done.after += len(written.content)


async def _rewrite_some(database: Database, id: str, numbers: Sequence[int], chains: _Chains, done: Packed) -> int:
    """Rewrite the first of some bodies, as many as one transaction takes. Gives how many were looked at."""
    written: dict[int, Written] = {}
    taken = size = 0
    async with database.transaction(read_only=True) as db:
        for number in numbers[:_AT_ONCE]:
            taken += 1
            base = chains.base_for(number)
            if not await _are_there(db, id, {number} if base is None else {number, base}):
                continue  # removed meanwhile
            try:
                text = await read_skeleton_of(db, id, number)
                below = None if base is None else (base, await read_skeleton_of(db, id, base))
            except DAMAGED:
                log.exception("notebook %s, version %d: not packed, its bytes are damaged", id, number)
                continue
            made = await offload(len(text), write_skeleton, text, below)
            written[number] = made
            chains.note(number, made.base)
            size += len(made.content)
            if size >= _BYTES_AT_ONCE:
                break
    async with database.transaction() as db:
        data_key = await lock_notebook(db, id)
        # Versions may have been removed meanwhile.
        sizes = select(Body.number, func.length(Body.content)).where(Body.notebook_id == id)
        there = dict((await db.exec(sizes)).all())
        for number, made in written.items():
            if number in there and (made.base is None or made.base in there):
                await rewrite_body(db, id, number, made, data_key)
                done.bodies += 1
                done.before += there[number]
                done.after += len(made.content)
    return taken


async def _are_there(db: AsyncSession, notebook_id: str, numbers: Collection[int]) -> bool:
    there = select(func.count()).where(Body.notebook_id == notebook_id, col(Body.number).in_(numbers))
    return (await db.exec(there)).one() == len(numbers)


async def _pack_other_blobs(database: Database, done: Packed, tell: Callable[[str], None]) -> None:
    """Pack what no version told of that could be read, without a base."""
    after = ("", b"")
    whose = tuple_(col(Blob.host_id), col(Blob.key))
    while True:
        async with database.transaction(read_only=True) as db:
            quick = select(Blob.host_id, Blob.key).where(whose > after, Blob.format == "quick")
            names = (await db.exec(quick.order_by(col(Blob.host_id), col(Blob.key)).limit(_KEYS_AT_ONCE))).all()
        if not names:
            return
        for host_id in sorted({host_id for host_id, _ in names}):
            await pack_blobs(database, host_id, [(key, None) for whose, key in names if whose == host_id], done)
        after = names[-1][0], names[-1][1]
        tell(f"{done.blobs:,} blobs")
