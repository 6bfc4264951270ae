"""Bringing a whole store under its hosts' current keys, or back into the clear: beside live saves, a little at a time.

What has been done is in the rows, so that a run that was stopped goes on where it was.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import and_, delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import HELD, Database, encryption
from inset.encryption import DataKey, Encryption, Sealed, is_wrapped, wrapper
from inset.models import Blob, BlobBase, Body, DataKeyRow, Host, Notebook
from inset.offload import offload
from inset.store.sealing import (
    blob_place,
    body_place,
    id_of,
    key_place,
    new_data_key,
    open_store_key,
    opened,
    reading_keys,
    seal_store_key,
    sealed,
    store_key_place,
    writing_key,
)

_AT_ONCE = 20
_BYTES_AT_ONCE = 8 * 1024 * 1024

Tell = Callable[[str], None]


@dataclass
class Rewritten:
    """How much was rewritten."""

    bodies: int = 0
    blobs: int = 0
    unreadable: int = 0
    """What is damaged, or encrypted with a key that nobody has: it stays as it is."""
    keys_removed: int = 0
    keys_left: int = 0
    """Retired ones that something still needs."""


async def encrypt_store(database: Database, tell: Tell) -> Rewritten:
    """Encrypt everything with its host application's current key, and remove the keys that nothing needs any more.

    With `Encryption.writing` off it decrypts everything.
    """
    done = Rewritten()
    async with database.transaction(read_only=True) as db:
        host_ids = (await db.exec(select(Host.id).order_by(Host.id))).all()
    for host_id in host_ids:
        await _begin(database, host_id)
        async with database.transaction(read_only=True) as db:
            wanted = select(Notebook.id).where(Notebook.host_id == host_id).order_by(Notebook.id)
            notebook_ids = (await db.exec(wanted)).all()
        for count, id in enumerate(notebook_ids, start=1):
            await _bodies(database, host_id, id, done, tell)
            tell(f"{host_id}: {count:,} of {len(notebook_ids):,} notebooks")
        await _blobs(database, host_id, done, tell)
        await _remove_keys(database, host_id, done)
    return done


async def rotate_data_key(database: Database, host_id: str) -> None:
    """Encrypt what is stored of a host application from now on with a new key. Raises `LookupError` if there is none.

    What was stored before stays readable, under the old key, until `encrypt_store` has rewritten it.
    """
    async with database.transaction() as db:
        used = _used(db)
        await _host(db, host_id)
        await _retire(db, host_id)
        await new_data_key(db, host_id, used)


async def rewrap_keys(database: Database) -> int:
    """Wrap every data key and store key anew by the newest master key. Gives how many were not. Raises `Sealed`."""
    changed = 0
    async with database.transaction() as db:
        used = _used(db)
        for host in (await db.exec(select(Host).order_by(Host.id).with_for_update(key_share=True))).all():
            if is_wrapped(host.store_key) and wrapper(host.store_key) != used.masters.newest:
                host.store_key = _rewrapped(host.store_key, store_key_place(host.id), used)
                changed += 1
        for row in (await db.exec(select(DataKeyRow).order_by(DataKeyRow.id).with_for_update(key_share=True))).all():
            if wrapper(row.wrapped) != used.masters.newest:
                row.wrapped = _rewrapped(row.wrapped, key_place(row.id, row.host_id), used)
                changed += 1
    return changed


def _rewrapped(wrapped: bytes, place: tuple[str, ...], used: Encryption) -> bytes:
    return used.masters.wrap(used.masters.unwrap(wrapped, place), place, by=used.masters.newest)


async def _begin(database: Database, host_id: str) -> None:
    async with database.transaction() as db:
        used, host = _used(db), await _host(db, host_id)
        if used.writing:
            await writing_key(db, host_id)
            await seal_store_key(db, host, used)
        else:
            host.store_key = open_store_key(db, host_id, host.store_key)
            await _retire(db, host_id)


async def _bodies(database: Database, host_id: str, notebook_id: str, done: Rewritten, tell: Tell) -> None:
    after = -1
    while True:
        async with database.transaction() as db:
            # As `garbage.lock_notebook` does: whoever writes its bodies waits.
            await db.exec(select(Notebook.id).where(Notebook.id == notebook_id).with_for_update())
            key = await writing_key(db, host_id)
            other = and_(col(Body.notebook_id) == notebook_id, col(Body.data_key).is_distinct_from(id_of(key)))
            wanted = select(Body.number).where(other, Body.number > after).order_by(col(Body.number)).limit(_AT_ONCE)
            numbers, size = (await db.exec(wanted)).all(), 0
            for number in numbers:
                body = await db.get_one(Body, (notebook_id, number))
                place = body_place(notebook_id, number, body.format, body.base)
                size, after = size + len(body.content), number
                rewritten = await _rewritten(db, body, place, key, done, tell)
                if rewritten is not None:
                    body.content, body.data_key = rewritten, id_of(key)
                    done.bodies += 1
                if size > _BYTES_AT_ONCE:
                    break
        if not numbers:
            return


async def _blobs(database: Database, host_id: str, done: Rewritten, tell: Tell) -> None:
    after = b""
    while True:
        async with database.transaction() as db:
            key = await writing_key(db, host_id)
            other = and_(col(Blob.host_id) == host_id, col(Blob.data_key).is_distinct_from(id_of(key)))
            wanted = select(Blob.key).where(other, Blob.key > after).order_by(col(Blob.key)).limit(_AT_ONCE)
            names, size = (await db.exec(wanted)).all(), 0
            for name in names:
                # Held by key share: a save that has it in use does not stop this, nor this the save.
                blob = await db.get(Blob, (host_id, name), with_for_update=HELD)
                after = name
                if blob is None:
                    continue  # the packer has removed it
                size += len(blob.content)
                stands_on = await db.get(BlobBase, (host_id, name))
                place = blob_place(name, blob.format, None if stands_on is None else stands_on.base)
                rewritten = await _rewritten(db, blob, place, key, done, tell)
                if rewritten is not None:
                    blob.content, blob.data_key = rewritten, id_of(key)
                    done.blobs += 1
                if size > _BYTES_AT_ONCE:
                    break
        if not names:
            return
        tell(f"{host_id}: {done.blobs:,} blobs")


async def _rewritten(
    db: AsyncSession, row: Body | Blob, place: tuple[str, ...], key: DataKey | None, done: Rewritten, tell: Tell
) -> bytes | None:
    keys, content, used = await reading_keys(db, {row.data_key}), row.content, row.data_key
    try:
        return await offload(len(content), lambda: sealed(opened(content, used, keys, place), key, place))
    except Sealed as exc:
        done.unreadable += 1
        tell(f"left as it is, {' '.join(place)}: {exc}")
        return None


async def _remove_keys(database: Database, host_id: str, done: Rewritten) -> None:
    """Delete a host application's retired keys that nothing is encrypted with."""
    retired = select(DataKeyRow.id).where(DataKeyRow.host_id == host_id, col(DataKeyRow.retired_at).is_not(None))
    async with database.transaction() as db:
        # Whoever writes with one of them holds its row: this waits for him, and looks at what there is then.
        ids = (await db.exec(retired.order_by(DataKeyRow.id).with_for_update())).all()
        for id in ids:
            needing = [select(Body.number).where(Body.data_key == id), select(Blob.size).where(Blob.data_key == id)]
            if [one for one in needing if (await db.exec(one.limit(1))).first() is not None]:
                done.keys_left += 1
            else:
                await db.exec(delete(DataKeyRow).where(col(DataKeyRow.id) == id))
                done.keys_removed += 1


async def _retire(db: AsyncSession, host_id: str) -> None:
    current = (col(DataKeyRow.host_id) == host_id, col(DataKeyRow.retired_at).is_(None))
    await db.exec(update(DataKeyRow).where(*current).values(retired_at=now()))


async def _host(db: AsyncSession, id: str) -> Host:
    host = await db.get(Host, id, with_for_update=HELD)
    if host is None:
        raise LookupError(f"no host application is registered as {id!r}")
    return host


def _used(db: AsyncSession) -> Encryption:
    used = encryption(db)
    if used is None:
        raise ValueError("there are no master keys: INSET_MASTER_KEY_FILE names their file")
    return used
