"""Making a store smaller than a save has the time to: off the request path, beside live saves, a little at a time.

What has been done is in the database, so that a packer that was stopped goes on where it was.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, tuple_, update
from sqlmodel import col, select

from inset.db import Database
from inset.models import Blob, BlobFormat, Body, Host, Notebook
from inset.offload import offload
from inset.store import compression, decoding
from inset.store.bodies import DAMAGED, read_bodies, read_skeleton_of, take_apart_into_blobs
from inset.store.garbage import lock_notebook, rewrite_body
from inset.store.sealing import Keys, blob_place, id_of, open_store_key, opened, reading_keys, sealed, writing_key
from inset.store.skeletons import Written, write_skeleton

log = logging.getLogger(__name__)

_LONGEST_CHAIN = 20
"""How many bodies a read unpacks at the most."""
_AT_ONCE = 20
"""How many bodies or blobs one transaction writes."""


@dataclass
class Packed:
    """How much was packed, and how large it was before and after."""

    bodies: int = 0
    blobs: int = 0
    before: int = 0
    after: int = 0


async def pack(database: Database, tell: Callable[[str], None]) -> Packed:
    """Pack every notebook's older versions, and every blob, that were not packed before. Raises nothing of its own."""
    done = Packed()
    async with database.transaction(read_only=True) as db:
        ids = (await db.exec(select(Notebook.id).order_by(Notebook.id))).all()
    for count, id in enumerate(ids, start=1):
        await _pack_notebook(database, id, done)
        if count % 100 == 0:
            tell(f"{count} of {len(ids)} notebooks")
    await _pack_blobs(database, done, tell)
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
    # What is read most stays quick to read.
    kept = {notebook.current, notebook.last_number}
    depths: dict[int, int] = {}
    wanted: list[tuple[int, int | None]] = []
    below: int | None = None
    for number, format, base in rows:
        if format in ("quick", "whole") and number not in kept:
            base = below if below is not None and depths[below] + 1 < _LONGEST_CHAIN else None
            wanted.append((number, base))
        depths[number] = 0 if base is None else depths[base] + 1
        below = number
    for begin in range(0, len(wanted), _AT_ONCE):
        await _rewrite(database, id, wanted[begin : begin + _AT_ONCE], done)


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


async def _rewrite(database: Database, id: str, wanted: list[tuple[int, int | None]], done: Packed) -> None:
    written: dict[int, Written] = {}
    async with database.transaction(read_only=True) as db:
        for number, base in wanted:
            try:
                text = await read_skeleton_of(db, id, number)
                below = None if base is None else (base, await read_skeleton_of(db, id, base))
            except DAMAGED:
                log.exception("notebook %s, version %d: not packed, its bytes are damaged", id, number)
                continue
            made = await offload(len(text), write_skeleton, text, below)
            written[number] = made
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


async def _pack_blobs(database: Database, done: Packed, tell: Callable[[str], None]) -> None:
    after = ("", b"")
    whose = tuple_(col(Blob.host_id), col(Blob.key))
    while True:
        async with database.transaction(read_only=True) as db:
            columns = select(Blob.host_id, Blob.key, Blob.content, Blob.data_key)
            quick = columns.where(whose > after, Blob.format == "quick")
            batch = (await db.exec(quick.order_by(col(Blob.host_id), col(Blob.key)).limit(_AT_ONCE))).all()
            keys = await reading_keys(db, {data_key for *_, data_key in batch})
        if not batch:
            return
        packed = await asyncio.to_thread(_smaller_all, batch, keys)
        async with database.transaction() as db:
            for host_id, key, format, before, smaller in packed:
                same = (col(Blob.host_id) == host_id, col(Blob.key) == key)
                data_key = await writing_key(db, host_id)
                written = sealed(smaller, data_key, blob_place(key, format))
                changing = update(Blob).where(*same)
                await db.exec(changing.values(format=format, content=written, data_key=id_of(data_key)))
                done.blobs += 1
                done.before += len(before)
                done.after += len(smaller)
        after = batch[-1][:2]
        if done.blobs % 1000 == 0:
            tell(f"{done.blobs} blobs")


def _smaller_all(
    batch: Sequence[tuple[str, bytes, bytes, str | None]], keys: Keys
) -> list[tuple[str, bytes, BlobFormat, bytes, bytes]]:
    made = []
    for host_id, key, content, data_key in batch:
        try:
            packed = opened(content, data_key, keys, blob_place(key, "quick"))
            made.append((host_id, key, *_smaller(packed)))
        except DAMAGED:
            log.error("a blob of %s is damaged, and not packed: %s", host_id, key.hex())
    return made


def _smaller(packed: bytes) -> tuple[BlobFormat, bytes, bytes]:
    piece = compression.unpack(packed)
    decoded = decoding.decode(piece)
    if decoded is not None and decoding.encode(decoded) == piece:
        return "decoded", packed, compression.pack_hard(decoded)
    hard = compression.pack_hard(piece)
    return "packed", packed, min(hard, packed, key=len)
