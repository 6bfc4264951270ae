"""Cells of two notebooks: which are the same one, and what of a cell makes a difference."""

from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice

from nbdime.diffing.notebooks import diff_notebooks

from inset.merging.settling import Json, text_of

_LOOKS = frozenset({"collapsed", "scrolled", "autoscroll", "execution"})
"""A cell's metadata that tell how it is looked at, and when it ran."""


@dataclass(frozen=True)
class Aligned:
    """What one notebook made of another's cells."""

    kept: dict[int, Json]
    """What became of the cells that are still there, by their old index."""

    added: dict[int, list[Json]]
    """New cells, by the old index of the cell that they precede."""


def align(old: list[Json], new: list[Json]) -> Aligned:
    """Find the old cells among the new, by id; without ids by content, and what is left over where it looks alike."""
    aligned = Aligned(kept={}, added={index: [] for index in range(len(old) + 1)})
    by_name = SequenceMatcher(None, [_name(cell) for cell in old], [_name(cell) for cell in new], autojunk=False)
    i, j = 0, 0
    for block in by_name.get_matching_blocks():
        _align_others(old[i : block.a], new[j : block.b], i, aligned)
        i, j = block.a + block.size, block.b + block.size
        aligned.kept.update(zip(range(block.a, i), new[block.b : j], strict=True))
    return aligned


def _align_others(old: list[Json], new: list[Json], start: int, aligned: Aligned) -> None:
    """Align what lies between two cells that are found, from the old index `start` on."""
    if all("id" in cell for cell in (*old, *new)):
        # Of other ids they are others, however much they look alike.
        aligned.added[start + len(old)] += new
        return
    removed: set[int] = set()
    added: Counter[int] = Counter()
    outlines = ({"cells": [_outline(cell) for cell in cells]} for cells in (old, new))
    for change in next((patch.diff for patch in diff_notebooks(*outlines)), []):
        if change.op == "removerange":
            removed.update(range(change.key, change.key + change.length))
        elif change.op == "addrange":
            added[change.key] += len(change.valuelist)
    rest = iter(new)
    for index in range(len(old) + 1):
        aligned.added[start + index] += islice(rest, added[index])
        if index < len(old) and index not in removed:
            aligned.kept[start + index] = next(rest)


def _name(cell: Json) -> str:
    return str(cell["id"]) if "id" in cell else text_of(essence(cell))


def _outline(cell: Json) -> Json:
    # Without what is slow to compare and says little about which cell it is.
    return {"cell_type": cell["cell_type"], "source": cell["source"], "metadata": {}, "outputs": []}


def essence(cell: Json) -> Json:
    """Leave out of a cell what is no reason for a conflict."""
    return {**cell, "metadata": lasting(cell["metadata"]), **result_essence(result(cell))}


def lasting(metadata: Json) -> Json:
    """Leave out of a cell's metadata what only tells how it is looked at."""
    return {key: value for key, value in metadata.items() if key not in _LOOKS}


def result(cell: Json) -> Json:
    """Take from a cell what running it left there, and how it is looked at, as `looks`."""
    looks = {key: value for key, value in cell["metadata"].items() if key in _LOOKS}
    return {**{key: cell[key] for key in ("outputs", "execution_count") if key in cell}, "looks": looks}


def result_essence(result: Json) -> Json:
    """Leave out of a result what is another after every run."""
    outputs = [{**output, "execution_count": None} for output in result.get("outputs", ())]
    return {"outputs": outputs, "execution_count": None}
