"""Looking at a document cell by cell, and only at the cells that are new since the last time.

A save changes a cell or two out of hundreds, and looking at a cell takes fifty times as long as comparing it with what
it was. Nothing is held that long, either: what is parsed in one go keeps every other request waiting.

Cutting is lexical, as the store's is: a JSON string holds no raw line break, and in the text that nbformat writes a
cell is what opens and closes at two spaces.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

HEAD = b'{\n "cells": [\n  {\n'
BETWEEN = b"\n  },\n  {\n"
_TAIL = b'\n  }\n ],\n "metadata": {'
_MINOR = b'"nbformat_minor": '

_AT_ONCE = 256 * 1024
"""Bytes that are parsed in a millisecond or two."""


@dataclass(slots=True, eq=False)
class Cell:
    """A part of a document. Versions of a notebook share those that are the same in them."""

    text: bytes
    name: bytes = b""
    """The hash of its text."""
    id: str | None = None
    """What it calls itself, once it was parsed."""
    stored: object = None
    """What the store has made of it, and need not make again."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A document's cells, and what follows them. It may be any bytes: whether these are cells, parsing shows."""

    cells: Sequence[Cell]
    tail: Cell
    ids: Mapping[bytes, str | None] = field(default_factory=dict)
    """The ids of cells that are no longer held, by the hashes of their texts."""

    @property
    def minor(self) -> bytes:
        """What it says of the version of nbformat: by that, a cell is right or wrong."""
        return self.tail.text.rpartition(_MINOR)[2]

    @property
    def content(self) -> bytes:
        """The document."""
        return self.of(self.cells)

    def of(self, cells: Sequence[Cell]) -> bytes:
        """Write the same document with only these of its cells, at least one."""
        return b"".join((HEAD, BETWEEN.join([cell.text for cell in cells]), self.tail.text))

    def batches(self, cells: Sequence[Cell]) -> Iterator[Sequence[Cell]]:
        """Share these cells out, in order, into what is looked at in one go."""
        most = max(_AT_ONCE, len(self.tail.text))
        batch: list[Cell] = []
        size = 0
        for cell in cells:
            if batch and size + len(cell.text) > most:
                yield batch
                batch, size = [], 0
            batch.append(cell)
            size += len(cell.text)
        if batch:
            yield batch

    def without_texts(self) -> "Cut":
        """Give what is left to know of it where its bytes are too many to be held."""
        return Cut((), self.tail, {cell.name: cell.id for cell in self.cells})


def cut(content: bytes, known: Cut | None = None) -> tuple[Cut, list[Cell]] | None:
    """Cut a document at the borders of its cells; None if it has none, or another layout.

    Gives those of its cells, too, that are not in `known`, a document that was found sound: each once, without an id.
    """
    end = content.rfind(_TAIL)
    if end < len(HEAD) or not content.startswith(HEAD):
        return None
    if known is None or not content.endswith(known.tail.text) or len(known.tail.text) != len(content) - end:
        tail = Cell(content[end:])
        known = known if known is not None and Cut((), tail).minor == known.minor else None
    else:
        tail = known.tail
    cells = _Cells(content, end, known)
    return Cut(list(cells), tail), list(cells.new.values())


class _Cells:
    """Goes through a document's cells, beside those of a known one."""

    def __init__(self, content: bytes, end: int, known: Cut | None) -> None:
        self.new: dict[bytes, Cell] = {}
        self._content = content
        self._end = end
        self._known = () if known is None else known.cells
        self._ids = {} if known is None else known.ids
        self._places: dict[bytes, int] | None = None

    def __iter__(self) -> Iterator[Cell]:
        content, known = self._content, self._known
        at, place = len(HEAD), 0
        while True:
            # Most are what they were, where they were: that is seen without a look for their border, or a hash.
            cell = known[place] if place < len(known) else None
            if cell is None or not content.startswith(cell.text, at) or not self._ends(at + len(cell.text)):
                cell, place = self._found(at, place)
            yield cell
            at += len(cell.text)
            if at == self._end:
                return
            at, place = at + len(BETWEEN), place + 1

    def _ends(self, at: int) -> bool:
        return at == self._end or self._content.startswith(BETWEEN, at, self._end)

    def _found(self, at: int, place: int) -> tuple[Cell, int]:
        """Give the cell that begins here, and the place of the known one that it is, or has taken."""
        until = self._content.find(BETWEEN, at, self._end)
        text = self._content[at : self._end if until < 0 else until]
        name = hashlib.sha256(text).digest()[:16]
        if self._places is None:
            self._places = {cell.name: place for place, cell in enumerate(self._known)}
        there = self._places.get(name)
        if there is not None:
            return self._known[there], there
        if name in self._ids:
            return Cell(text, name, self._ids[name]), place
        return self.new.setdefault(name, Cell(text, name)), place
