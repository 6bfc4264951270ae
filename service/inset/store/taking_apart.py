"""Taking documents apart for the store, and of those that are cut into cells only the cells that were not yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inset.cells import BETWEEN, HEAD, Cell, Cut
from inset.store import compression
from inset.store.blobs import name
from inset.store.splitting import skeleton, split


@dataclass(frozen=True)
class TakenApart:
    """What the store keeps of a document."""

    pieces: Mapping[bytes, bytes | memoryview]
    """What is large in it, by its key."""
    packed: bytes
    """What is around that, compressed."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A cell taken apart."""

    store_key: bytes
    skeleton: bytes
    spans: Sequence[tuple[int, int]]
    keys: Sequence[bytes]


_AS_IT_WAS = 32
"""How many times faster a cell that is known is put together and compressed with the others than a new one is cut."""


def weight(size: int, cut: Cut | None) -> int:
    """Say how many bytes there are to be looked at, as it were, in a document of a size."""
    if cut is None:
        return size
    return size // _AS_IT_WAS + sum(len(cell.text) for cell in cut.cells if cell.stored is None)


def take_apart(content: bytes, cut: Cut | None, store_key: bytes) -> TakenApart:
    """Take a document apart, with the host application's secret; `cut` is the same document in cells, if it is sound.

    A sound document's pieces are in its cells, and so come out as they would of the whole.
    """
    if cut is None:
        whole = split(content)
        keys = [name(piece, store_key) for piece in whole.pieces]
        pieces = dict(zip(keys, whole.pieces, strict=True))
        return TakenApart(pieces, compression.pack(skeleton(whole, keys)))
    found: dict[bytes, bytes | memoryview] = {}
    skeletons = []
    for cell in (*cut.cells, cut.tail):
        part = _part(cell, store_key)
        skeletons.append(part.skeleton)
        if part.keys:
            view = memoryview(cell.text)
            for key, (begin, end) in zip(part.keys, part.spans, strict=True):
                found[key] = view[begin:end]
    tail = skeletons.pop()
    return TakenApart(found, compression.pack(b"".join((HEAD, BETWEEN.join(skeletons), tail))))


def _part(cell: Cell, store_key: bytes) -> _Part:
    known = cell.stored
    if isinstance(known, _Part) and known.store_key == store_key:
        return known
    whole = split(cell.text)
    keys = [name(piece, store_key) for piece in whole.pieces]
    made = _Part(store_key, skeleton(whole, keys), whole.spans, keys)
    cell.stored = made
    return made
