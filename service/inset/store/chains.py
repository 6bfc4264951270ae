"""Blobs as their rows hold them: compressed, or as what differs from another blob of the same host application."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.engines.sqlite_driver import LARGE
from inset.models import Blob, BlobBase
from inset.store import compression, decoding
from inset.store.sealing import Keys, blob_place, opened, reading_keys


@dataclass(frozen=True)
class Kept:
    """What a blob holds, beside its key, decrypted."""

    content: bytes
    format: str
    """A `BlobFormat`."""
    base: bytes | None = None
    """The key of the blob it stands on, if its content is what differs from that."""


HAS_BASE = and_(col(BlobBase.host_id) == Blob.host_id, col(BlobBase.key) == Blob.key)
COLUMNS: Sequence[Any] = (Blob.key, Blob.format, Blob.content, Blob.data_key, BlobBase.base)
"""What is read of a blob that is joined with its base, if it `HAS_BASE`."""


def unpacked(key: bytes, kept: Mapping[bytes, Kept]) -> bytes:
    """Give what was compressed of a blob: its piece, or that with its base64 decoded.

    Raises `KeyError` if one of those that it stands on is missing, `compression.Damaged` if one was not written here,
    and `ValueError` if it stands on itself.
    """
    content = b""
    for one in reversed(list(chain(key, kept))):
        content = compression.unpack(one.content) if one.base is None else compression.unpatch(one.content, content)
    return content


def piece(key: bytes, kept: Mapping[bytes, Kept]) -> bytes:
    """Give a blob's piece. Raises as `unpacked` does, and `struct.error` or `ValueError` as `decoding.encode` does."""
    content = unpacked(key, kept)
    return decoding.encode(content) if kept[key].format == "decoded" else content


def chain(key: bytes, kept: Mapping[bytes, Kept]) -> Iterator[Kept]:
    """Give a blob, then each that it stands on. Raises `KeyError` and `ValueError` as `unpacked` does."""
    seen = set()
    at: bytes | None = key
    while at is not None:
        if at in seen:
            raise ValueError(f"the blob {key.hex()} stands on itself")
        seen.add(at)
        yield kept[at]
        at = kept[at].base


async def read_blobs(db: AsyncSession, host_id: str, keys: Iterable[bytes]) -> list[Any]:
    """Read the rows of blobs, of few, and of all that they stand on."""
    mine = (col(BlobBase.host_id) == host_id,)
    below = select(Blob.key).where(Blob.host_id == host_id, col(Blob.key).in_(list(keys))).cte(recursive=True)
    # Not ALL: that ends where blobs of a damaged database stand on each other in a circle.
    below = below.union(select(BlobBase.base).where(*mine, BlobBase.key == below.c.key))
    wanted = select(*COLUMNS).prefix_with(LARGE, dialect="sqlite").join(BlobBase, HAS_BASE, isouter=True)
    return list((await db.exec(wanted.where(Blob.host_id == host_id, col(Blob.key).in_(select(below.c.key))))).all())


async def keys_for(db: AsyncSession, rows: Iterable[Any]) -> Keys:
    """Give the keys that open some rows."""
    return await reading_keys(db, {data_key for _, _, _, data_key, _ in rows})


def opened_blob(row: Any, keys: Keys) -> tuple[bytes, Kept]:
    """Decrypt a row. Raises `Sealed`."""
    key, format, content, data_key, base = row
    return key, Kept(opened(content, data_key, keys, blob_place(key, format, base)), format, base)
