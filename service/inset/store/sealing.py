"""What is encrypted of the store: bodies, blobs, and the secrets by which blobs are named.

Each row says by which data key it is encrypted, or by none, so that both may stand beside each other. Writers ask the
database for a host application's current key with every transaction; readers keep those they have opened.
"""

import logging
import secrets
from collections.abc import Collection, Mapping

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.db import Database, encryption, upsert
from inset.encryption import DataKey, Encryption, MasterKeys, Sealed, is_wrapped, new_key, wrapper
from inset.errors import DatabaseUnavailable
from inset.models import DataKeyRow, Host

log = logging.getLogger(__name__)

Keys = Mapping[str, DataKey]


def body_place(notebook_id: str, number: int, format: str, base: int | None) -> tuple[str, ...]:
    """Say where a body belongs."""
    return "body", notebook_id, str(number), format, str(base)


def blob_place(key: bytes, format: str, base: bytes | None) -> tuple[str, ...]:
    """Say where a blob belongs, within its host application."""
    return ("blob", key.hex(), format) if base is None else ("blob", key.hex(), format, base.hex())


def opened(content: bytes, key_id: str | None, keys: Keys, place: tuple[str, ...]) -> bytes:
    """Give a row's content, decrypted where it is encrypted. Raises `Sealed`."""
    if key_id is None:
        return content
    if key_id not in keys:
        raise Sealed(f"its data key {key_id} cannot be opened")
    return keys[key_id].open(content, place)


def id_of(key: DataKey | None) -> str | None:
    """Name a key as rows do."""
    return None if key is None else key.id


def sealed(content: bytes, key: DataKey | None, place: tuple[str, ...]) -> bytes:
    """Encrypt a row's content, if there is a key for it."""
    return content if key is None else key.seal(content, place)


async def reading_keys(db: AsyncSession, ids: Collection[str | None]) -> Keys:
    """Open data keys, those that can be."""
    used = encryption(db)
    wanted = {id for id in ids if id is not None}
    if used is None or not wanted:
        return {}
    unknown = wanted - used.opened.keys()
    if unknown:
        for row in (await db.exec(select(DataKeyRow).where(col(DataKeyRow.id).in_(unknown)))).all():
            try:
                used.opened[row.id] = unwrapped(row, used.masters)
            except Sealed as exc:
                log.error("data key %s of %s: %s", row.id, row.host_id, exc)
    return {id: used.opened[id] for id in wanted & used.opened.keys()}


async def writing_key(db: AsyncSession, host_id: str) -> DataKey | None:
    """Give the key that encrypts what is stored of a host application; None if that is not to be encrypted.

    The first time there is one made. Its row is held, so that it can't be taken away before this transaction is over.
    Raises `DatabaseUnavailable` if it can't be opened: nothing is stored in the clear that should not be.
    """
    used = encryption(db)
    if used is None or not used.writing:
        return None
    row = await _current(db, host_id) or await new_data_key(db, host_id, used)
    if row.id not in used.opened:
        try:
            used.opened[row.id] = unwrapped(row, used.masters)
        except Sealed as exc:
            log.error("data key %s of %s: %s", row.id, host_id, exc)
            raise DatabaseUnavailable from exc
    return used.opened[row.id]


async def new_data_key(db: AsyncSession, host_id: str, used: Encryption) -> DataKeyRow:
    """Give a host application that has no current data key a new one, unless somebody else does at this moment."""
    id = secrets.token_hex(16)
    wrapped = used.masters.wrap(new_key(), key_place(id, host_id), by=await _in_use(db, used.masters))
    made = DataKeyRow(id=id, host_id=host_id, wrapped=wrapped)
    inserting = upsert(db, DataKeyRow).values(**made.model_dump()).on_conflict_do_nothing()
    await db.exec(inserting)
    current = await _current(db, host_id)
    assert current is not None
    return current


def open_store_key(db: AsyncSession, host_id: str, stored: bytes) -> bytes:
    """Give the secret by which a host application's blobs are named. Raises `DatabaseUnavailable` if it is sealed."""
    if not is_wrapped(stored):
        return stored
    used = encryption(db)
    try:
        if used is None:
            raise Sealed("there are no master keys")
        return used.masters.unwrap(stored, store_key_place(host_id))
    except Sealed as exc:
        log.error("the store key of %s: %s", host_id, exc)
        raise DatabaseUnavailable from exc


async def seal_store_key(db: AsyncSession, host: Host, used: Encryption) -> None:
    """Wrap the secret of a host application that this transaction holds."""
    if not is_wrapped(host.store_key):
        place = store_key_place(host.id)
        host.store_key = used.masters.wrap(host.store_key, place, by=await _in_use(db, used.masters))


async def locked_keys(db: AsyncSession) -> list[str]:
    """Tell of each key in the database that the master keys at hand do not open: whose it is, and why."""
    used = encryption(db)
    rows = [
        (row.host_id, row.wrapped, key_place(row.id, row.host_id)) for row in (await db.exec(select(DataKeyRow))).all()
    ]
    hosts = (await db.exec(select(Host.id, Host.store_key))).all()
    rows += [(id, key, store_key_place(id)) for id, key in hosts if is_wrapped(key)]
    told = []
    for host_id, wrapped, place in rows:
        try:
            if used is None:
                raise Sealed(f"it needs the master key {wrapper(wrapped)}, and INSET_MASTER_KEY_FILE is not set")
            used.masters.unwrap(wrapped, place)
        except Sealed as exc:
            told.append(f"the {place[0]} of {host_id} cannot be opened: {exc}")
    return told


async def require_keys(database: Database) -> None:
    """Raise `ValueError` if there is a key in the database that the master keys at hand do not open."""
    async with database.transaction(read_only=True) as db:
        told = await locked_keys(db)
    if told:
        raise ValueError(told[0] if len(told) == 1 else f"{told[0]}, and {len(told) - 1} more")


def unwrapped(row: DataKeyRow, masters: MasterKeys) -> DataKey:
    """Open a data key. Raises `Sealed`."""
    return DataKey(row.id, row.host_id, masters.unwrap(row.wrapped, key_place(row.id, row.host_id)))


def key_place(id: str, host_id: str) -> tuple[str, ...]:
    """Say where a wrapped data key belongs."""
    return "data key", id, host_id


def store_key_place(host_id: str) -> tuple[str, ...]:
    """Say where a wrapped store key belongs."""
    return "store key", host_id


async def _in_use(db: AsyncSession, masters: MasterKeys) -> str:
    """Name the master key to wrap with: the one in use, until `inset db rewrap` goes on to the file's newest.

    Whoever runs with a file that has not got the newest yet goes on reading.
    """
    newest = (await db.exec(select(DataKeyRow.wrapped).order_by(col(DataKeyRow.created_at).desc()).limit(1))).first()
    return wrapper(newest) if newest and masters.holds(wrapper(newest)) else masters.newest


async def _current(db: AsyncSession, host_id: str) -> DataKeyRow | None:
    current = select(DataKeyRow).where(DataKeyRow.host_id == host_id, col(DataKeyRow.retired_at).is_(None))
    held = current.with_for_update(read=True, key_share=True).execution_options(populate_existing=True)
    return (await db.exec(held)).first()
