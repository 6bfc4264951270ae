"""Taking versions away, and the blobs that nothing needs any more."""

from collections.abc import Collection

from sqlalchemy import delete, exists, func, not_, tuple_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.db import Database
from inset.encryption import DataKey
from inset.models import Blob, BlobBase, BlobUse, Body, Notebook, Version
from inset.offload import offload
from inset.store.bodies import DAMAGED, read_skeleton_of, sealed_body
from inset.store.sealing import writing_key
from inset.store.skeletons import Written, write_skeleton
from inset.store.splitting import references

_AT_ONCE = 200

_UNUSED = not_(exists().where(col(BlobUse.host_id) == Blob.host_id, col(BlobUse.key) == Blob.key)) & not_(
    exists().where(col(BlobBase.host_id) == Blob.host_id, col(BlobBase.base) == Blob.key)
)
"""No notebook has it in it, and no other blob stands on it."""


async def remove_versions(db: AsyncSession, notebook_id: str, numbers: Collection[int]) -> None:
    """Delete versions of a notebook, and write those anew that stood on them.

    Their blobs become unused, not deleted: that is `remove_unused_blobs`. Raises one of `bodies.DAMAGED` if one of
    them can't be read, or one that stands on them.
    """
    data_key = await lock_notebook(db, notebook_id)
    rows = (await db.exec(select(Body.number, Body.base).where(Body.notebook_id == notebook_id))).all()
    bases, gone = dict(rows), set(numbers)
    heir: int | None = None
    for number, base in sorted(bases.items()):
        if number not in gone and base in gone:
            while base in gone:
                base = bases[base]
            # Of those that lose all they stood on, the first is written whole, and the others stand on it.
            base = heir if base is None else base
            heir = number if base is None else heir
            text = await read_skeleton_of(db, notebook_id, number)
            below = None if base is None else (base, await read_skeleton_of(db, notebook_id, base))
            written = await offload(len(text), write_skeleton, text, below)
            await rewrite_body(db, notebook_id, number, written, data_key)
    await _forget_uses(db, notebook_id, gone=gone & bases.keys(), left=bases.keys() - gone)
    await drop_versions(db, notebook_id, gone)


async def drop_versions(db: AsyncSession, notebook_id: str, numbers: Collection[int]) -> None:
    """Delete versions of a notebook whatever stands on them, and without a look at what is in them."""
    await db.exec(delete(Body).where(col(Body.notebook_id) == notebook_id, col(Body.number).in_(numbers)))
    await db.exec(delete(Version).where(col(Version.notebook_id) == notebook_id, col(Version.number).in_(numbers)))


async def lock_notebook(db: AsyncSession, notebook_id: str) -> DataKey | None:
    """Have whoever stores, packs or removes this notebook's versions wait until this transaction is over.

    Gives the key with which to write its bodies meanwhile.
    """
    held = select(Notebook.host_id).where(Notebook.id == notebook_id).with_for_update()
    host_id = (await db.exec(held)).one_or_none()
    return None if host_id is None else await writing_key(db, host_id)


async def rewrite_body(
    db: AsyncSession, notebook_id: str, number: int, written: Written, data_key: DataKey | None
) -> None:
    """Write the same bytes of a version in another way."""
    here = update(Body).where(col(Body.notebook_id) == notebook_id, col(Body.number) == number)
    content = await sealed_body(notebook_id, number, written, data_key)
    await db.exec(here.values(format=written.format, base=written.base, **content))


async def remove_unused_blobs(database: Database) -> tuple[int, int]:
    """Delete the blobs that nothing needs. Gives how many they were, and how many bytes.

    Beside live saves: each batch is looked at again under a lock of its rows. A save that wants one of them waits for
    that lock, then finds it gone and stores it anew; one that came first and is not over yet keeps it out of the batch.
    """
    blobs = size = 0
    while removed := await _remove_unused(database):
        # What those stood on may be unused now.
        blobs, size = blobs + len(removed), size + sum(removed)
    return blobs, size


async def _remove_unused(database: Database) -> list[int]:
    """Go through all blobs once. Gives the sizes of those that were removed."""
    sizes: list[int] = []
    after = ("", b"")
    whose = tuple_(col(Blob.host_id), col(Blob.key))
    while True:
        async with database.transaction(read_only=True) as db:
            unused = (
                select(Blob.host_id, Blob.key).where(whose > after, _UNUSED).order_by(col(Blob.host_id), col(Blob.key))
            )
            batch = [(host_id, key) for host_id, key in (await db.exec(unused.limit(_AT_ONCE))).all()]
        if not batch:
            return sizes
        async with database.transaction() as db:
            free = select(Blob.host_id, Blob.key).where(whose.in_(batch)).with_for_update(skip_locked=True)
            locked = [(host_id, key) for host_id, key in (await db.exec(free)).all()]
            removing = delete(Blob).where(whose.in_(locked), _UNUSED).returning(func.length(Blob.content))
            sizes += (await db.exec(removing)).scalars().all()
        after = batch[-1]


async def _forget_uses(db: AsyncSession, notebook_id: str, *, gone: set[int], left: set[int]) -> None:
    unused: set[bytes] = set()
    for number in gone:
        unused.update(references(await read_skeleton_of(db, notebook_id, number)))
    for number in sorted(left, reverse=True):
        if not unused:
            return
        try:
            unused.difference_update(references(await read_skeleton_of(db, notebook_id, number)))
        except DAMAGED:
            return  # what it has in it may be any of them
    forgetting = delete(BlobUse).where(col(BlobUse.notebook_id) == notebook_id, col(BlobUse.key).in_(unused))
    await db.exec(forgetting)
