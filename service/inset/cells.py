"""Looking at a document cell by cell, and only at the cells that are new since the last time.

A save changes a cell or two out of hundreds, and looking at a cell takes ten times as long as hashing it. Nothing is
held that long, either: what is parsed in one go keeps every other request waiting.

Cutting is lexical, as the store's is: a JSON string holds no raw line break, and in the text that nbformat writes a
cell is what opens and closes at two spaces.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

_HEAD = b'{\n "cells": [\n  {\n'
_BETWEEN = b"\n  },\n  {\n"
_TAIL = b'\n  }\n ],\n "metadata": {'
_MINOR = b'"nbformat_minor": '

_AT_ONCE = 1024 * 1024
"""Bytes that are parsed in a few milliseconds."""


@dataclass(frozen=True)
class Cut:
    """A document's cells, and what follows them. It may be any bytes: whether these are cells, parsing shows."""

    cells: Sequence[bytes]
    tail: bytes

    @property
    def minor(self) -> bytes:
        """What it says of the version of nbformat: by that, a cell is right or wrong."""
        return self.tail.rpartition(_MINOR)[2]

    def of(self, cells: Sequence[bytes]) -> bytes:
        """Write the same document with only these of its cells, at least one."""
        return b"".join((_HEAD, _BETWEEN.join(cells), self.tail))

    def batches(self, cells: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """Share these cells out, in order, into what is looked at in one go."""
        most = max(_AT_ONCE, len(self.tail))
        batch: list[bytes] = []
        size = 0
        for cell in cells:
            if batch and size + len(cell) > most:
                yield batch
                batch, size = [], 0
            batch.append(cell)
            size += len(cell)
        yield batch


def cut(content: bytes) -> Cut | None:
    """Cut a document at the borders of its cells; None if it has none, or another layout."""
    end = content.rfind(_TAIL)
    if end < len(_HEAD) or not content.startswith(_HEAD):
        return None
    return Cut(content[len(_HEAD) : end].split(_BETWEEN), content[end:])


@dataclass(eq=False)
class KnownCells:
    """The cells of a notebook's last document that was found sound here: hashes, with the cells' own ids."""

    minor: bytes = b""
    ids: dict[bytes, str | None] = field(default_factory=dict)


@lru_cache(maxsize=500)
def known_cells(notebook_id: str) -> KnownCells:
    """Give what is known of a notebook. By notebook, so that nobody's time tells what is in another's."""
    return KnownCells()


def digest(cell: bytes) -> bytes:
    """Name a cell by its bytes."""
    return hashlib.sha256(cell).digest()[:16]
