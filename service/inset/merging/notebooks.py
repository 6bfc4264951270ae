"""Three-way merges of notebooks, cell by cell. What both sides changed is told, and never decided for anybody."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal
from uuid import uuid4

from nbformat import v4
from pydantic import BaseModel

from inset.documents import Document, parsed_document
from inset.errors import Invalid, NotMergeable
from inset.merging.cells import align, essence, lasting, result, result_essence
from inset.merging.settling import BothChanged, Json, settle, settle_lines, settle_mapping, text_of

Part = Literal["source", "outputs", "metadata", "cells", "notebook metadata"]
"""What both sides changed. `cells`: one removed, moved or retyped a cell that the other changed or moved too."""

_IDS_SINCE = 5
"""The minor version of nbformat 4 since which every cell has an id."""


class Unsettled(BaseModel, frozen=True):
    """Something that both sides changed, each in its own way."""

    cell: str | int | None
    """The cell's id, or its index in the common ancestor if it has none; None for the notebook's own metadata."""

    part: Part


def merge(base: Document, mine: Document, theirs: Document) -> Document | list[Unsettled]:
    """Bring what two documents changed of a third into one, or tell what can't be settled without asking.

    Of cells that both sides added at one place, theirs come first. Where only execution counts or the looks of a cell
    differ, theirs are taken. Takes seconds for large notebooks: run it in a thread. Raises `NotMergeable` if one of
    the three is no valid notebook.
    """
    if not (base.valid and mine.valid and theirs.valid):
        raise NotMergeable
    try:
        merging = _Merging(*(v4.reads_json(document.content) for document in (base, mine, theirs)))
        merged = merging.run()
        return merging.unsettled or parsed_document(merged)
    except (Invalid, RecursionError) as exc:
        raise NotMergeable from exc


class _Merging:
    def __init__(self, base: Json, mine: Json, theirs: Json) -> None:
        self._notebooks = (base, mine, theirs)
        self.unsettled: list[Unsettled] = []

    def run(self) -> Json:
        """Merge what can be merged, and note the rest."""
        minor = max(notebook["nbformat_minor"] for notebook in self._notebooks)
        metadata = (notebook["metadata"] for notebook in self._notebooks)
        cells = self._cells(*(notebook["cells"] for notebook in self._notebooks))
        if minor >= _IDS_SINCE:
            for cell in cells:
                cell.setdefault("id", uuid4().hex[:8])
        return {
            "cells": cells,
            "metadata": self._try(None, "notebook metadata", settle_mapping, *metadata),
            "nbformat": 4,
            "nbformat_minor": minor,
        }

    def _cells(self, old: list[Json], all_mine: list[Json], all_theirs: list[Json]) -> list[Json]:
        mine, theirs = align(old, all_mine), align(old, all_theirs)
        merged: list[Json] = []
        for index in range(len(old) + 1):
            merged += theirs.added[index]
            merged += _others(mine.added[index], theirs.added[index])
            if index < len(old):
                merged += self._cell(index, old[index], mine.kept.get(index), theirs.kept.get(index))
        # One that both sides moved elsewhere, or made in their own ways, would be there twice.
        most = _ids(all_mine) | _ids(all_theirs)
        self.unsettled += [Unsettled(cell=id, part="cells") for id, count in _ids(merged).items() if count > most[id]]
        return merged

    def _cell(self, index: int, old: Json, mine: Json | None, theirs: Json | None) -> list[Json]:
        name = old.get("id", index)
        if mine is None or theirs is None:
            left = mine or theirs
            if left and text_of({**essence(left), "id": None}) != text_of({**essence(old), "id": None}):
                self.unsettled.append(Unsettled(cell=name, part="cells"))
            return []
        three = (old, mine, theirs)
        if any(cell["cell_type"] != old["cell_type"] for cell in three):
            whole = self._try(name, "cells", settle, *three, essence=essence)
            return [whole] if whole else []
        metadata = self._try(name, "metadata", settle_mapping, *(lasting(cell["metadata"]) for cell in three))
        # Only a name, which an editor may have given to a cell that had none.
        new_names = (cell["id"] for cell in (theirs, mine) if cell.get("id") not in (None, old.get("id")))
        id = next(new_names, old.get("id"))
        merged = {
            **({"id": id} if id else {}),
            "cell_type": old["cell_type"],
            "source": self._try(name, "source", settle_lines, *(cell["source"] for cell in three)),
        }
        if attached := self._try(name, "source", settle_mapping, *(cell.get("attachments", {}) for cell in three)):
            merged["attachments"] = attached
        ran = self._try(name, "outputs", settle, *(result(cell) for cell in three), essence=result_essence) or {}
        looks = ran.pop("looks", {})
        return [{**merged, **ran, "metadata": {**(metadata or {}), **looks}}]

    def _try(self, cell: str | int | None, part: Part, settle: Callable[..., Any], *values: Any, **how: Any) -> Any:
        try:
            return settle(*values, **how)
        except BothChanged:
            self.unsettled.append(Unsettled(cell=cell, part=part))
            return None


def _others(cells: list[Json], known: list[Json]) -> list[Json]:
    """Leave out the cells that are known."""
    left = Counter(text_of(essence(cell)) for cell in known)
    others = []
    for cell in cells:
        text = text_of(essence(cell))
        if left[text]:
            left[text] -= 1
        else:
            others.append(cell)
    return others


def _ids(cells: list[Json]) -> Counter[str]:
    return Counter(cell["id"] for cell in cells if "id" in cell)
