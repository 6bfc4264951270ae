"""Blobs: pieces of notebooks, each kept once for a host application, by a name that tells nobody what is in it."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from sqlalchemy import and_, bindparam, insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.db import ask, table, upsert, write
from inset.encryption import DataKey
from inset.engines.prepared import Prepared
from inset.engines.sqlite_driver import LARGE
from inset.models import Blob, BlobBase, BlobUse
from inset.offload import offload
from inset.store import chains, compression
from inset.store.sealing import blob_place, id_of, sealed
from inset.store.splitting import KEY_LENGTH

_ASKED_AT_ONCE = 5_000
"""Below the number of parameters that either database takes in one statement."""

_WRITTEN_AT_ONCE = 100
"""Rows whose statement the event loop prepares in one or two milliseconds."""


Piece = bytes | memoryview


def name(piece: bytes, store_key: bytes) -> bytes:
    """Give the key under which a piece is kept."""
    return blake2b(piece, key=store_key, digest_size=KEY_LENGTH).digest()


async def keep(
    db: AsyncSession, host_id: str, notebook_id: str, pieces: Mapping[bytes, Piece], *, data_key: DataKey | None
) -> None:
    """Have these pieces stored, and note that a notebook has them in it. Known ones are not written again."""
    used = await _lock_known(db, host_id, notebook_id, list(pieces))
    # In one order for all: two that store the same pieces at this moment must not wait for each other.
    new = sorted(key for key in pieces if key not in used)
    for begin in range(0, len(new), _WRITTEN_AT_ONCE):
        some = {key: pieces[key] for key in new[begin : begin + _WRITTEN_AT_ONCE]}
        await _write(db, host_id, some, data_key)
        await _note(db, host_id, notebook_id, some)
    await _note(db, host_id, notebook_id, [key for key in pieces if used.get(key) is False])


async def _write(db: AsyncSession, host_id: str, pieces: Mapping[bytes, Piece], data_key: DataKey | None) -> None:
    size = sum(len(piece) for piece in pieces.values())
    packed = await offload(size, lambda: [_written(key, piece, data_key) for key, piece in pieces.items()])
    inserting = upsert(db, Blob)
    # Where somebody stores the same piece at this moment, his row is locked by this, as known ones are above.
    inserting = inserting.on_conflict_do_update(
        index_elements=["host_id", "key"], set_={"size": inserting.excluded.size}
    )
    rows = [
        {
            "host_id": host_id,
            "key": key,
            "format": "quick",
            "size": len(piece),
            "content": content,
            "data_key": id_of(data_key),
        }
        for (key, piece), content in zip(pieces.items(), packed, strict=True)
    ]
    await write(db, inserting, rows)


async def _note(db: AsyncSession, host_id: str, notebook_id: str, keys: Iterable[bytes]) -> None:
    uses = [{"notebook_id": notebook_id, "host_id": host_id, "key": key} for key in keys]
    if uses:
        await write(db, _USED, uses)


async def fetch(
    db: AsyncSession, notebook_id: str, keys: Iterable[bytes], *, brief: bool = False
) -> dict[bytes, bytes]:
    """Give a notebook's pieces of these keys, those that are there; `brief` if they are at most `BRIEF` together.

    Raises as `chains.piece` does, and `Sealed`.
    """
    wanted = list(set(keys))
    found: dict[bytes, Any] = {}
    below: dict[str, set[bytes]] = {}
    for begin in range(0, len(wanted), _ASKED_AT_ONCE):
        asked = {"notebook_id": notebook_id, "keys": wanted[begin : begin + _ASKED_AT_ONCE]}
        for host_id, *row in await ask(db, _BRIEF_FETCHED if brief else _LARGE_FETCHED, **asked):
            found[row[0]] = row
            below.setdefault(host_id, set()).add(row[-1])
    there = list(found)
    for host_id, bases in below.items():
        missing = sorted(base for base in bases if base is not None and base not in found)
        for begin in range(0, len(missing), _ASKED_AT_ONCE):
            rows = await chains.read_blobs(db, host_id, missing[begin : begin + _ASKED_AT_ONCE])
            found |= {row[0]: row for row in rows}
    keys_of = await chains.keys_for(db, found.values())

    def pieces() -> dict[bytes, bytes]:
        kept = dict(chains.opened_blob(row, keys_of) for row in found.values())
        return {key: chains.piece(key, kept) for key in there}

    return await offload(sum(len(content) for _, _, content, *_ in found.values()), pieces)


def _written(key: bytes, piece: Piece, data_key: DataKey | None) -> bytes:
    return sealed(compression.pack(piece), data_key, blob_place(key, "quick", None))


async def _lock_known(db: AsyncSession, host_id: str, notebook_id: str, keys: list[bytes]) -> dict[bytes, bool]:
    """Tell which pieces are stored, and whether it is noted that the notebook has them.

    Their rows are locked where a database locks rows, so that `inset db pack` can't remove before this transaction is
    over what is about to be used. On SQLite there is one writer at a time anyway.
    """
    known: dict[bytes, bool] = {}
    for begin in range(0, len(keys), _ASKED_AT_ONCE):
        asked = {"host_id": host_id, "notebook_id": notebook_id, "keys": keys[begin : begin + _ASKED_AT_ONCE]}
        known |= dict(await ask(db, _KNOWN, **asked))
    return known


# Asked with every save or load, and so built once.
_USED = Prepared(insert(table(BlobUse)).inline())
_FETCHED = (
    select(Blob.host_id, *chains.COLUMNS)
    .join(BlobUse, and_(col(BlobUse.host_id) == Blob.host_id, col(BlobUse.key) == Blob.key))
    .join(BlobBase, chains.HAS_BASE, isouter=True)
    .where(BlobUse.notebook_id == bindparam("notebook_id"), col(BlobUse.key).in_(bindparam("keys", expanding=True)))
)
_BRIEF_FETCHED = Prepared(_FETCHED)
_LARGE_FETCHED = Prepared(_FETCHED.prefix_with(LARGE, dialect="sqlite"))
_KNOWN = Prepared(
    select(Blob.key, col(BlobUse.notebook_id).is_not(None))
    .join(
        BlobUse,
        and_(
            col(BlobUse.notebook_id) == bindparam("notebook_id"),
            col(BlobUse.host_id) == Blob.host_id,
            col(BlobUse.key) == Blob.key,
        ),
        isouter=True,
    )
    .where(Blob.host_id == bindparam("host_id"), col(Blob.key).in_(bindparam("keys", expanding=True)))
    .with_for_update(read=True, key_share=True, of=Blob)
)
