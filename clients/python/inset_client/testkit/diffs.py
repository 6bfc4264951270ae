"""How the fake compares two versions: cells paired by their ids, or by what they say where they have none.

The service also pairs cells whose ids are new by how similar they are, and bounds its effort. A test's documents are
small, and its edited cells keep their ids.
"""

import difflib
import json
from typing import Any

from inset_client.testkit.problems import FakeProblem
from inset_client.testkit.state import FakeVersion

_CONTEXT = 3
_ABSENT: dict[str, Any] = {}

Cell = dict[str, Any]


def compare(old: FakeVersion, new: FakeVersion) -> dict[str, Any]:
    """Say how one version became another, as the API does. Raises `not-comparable`."""
    before, after = _read(old), _read(new)
    pairs = _paired(before["cells"], after["cells"])
    changes = list(_changes(before["cells"], after["cells"], pairs))
    return {
        "from_version": old.number,
        "from_sha256": old.sha256,
        "to_version": new.number,
        "to_sha256": new.sha256,
        "metadata_changed": {**before, "cells": None} != {**after, "cells": None},
        "cells": changes,
        "unchanged": len(after["cells"]) - sum(change["to_index"] is not None for change in changes),
    }


def _read(version: FakeVersion) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(version.content)
        return {**document, "cells": [{**cell, "source": "".join(cell["source"])} for cell in document["cells"]]}
    except (KeyError, TypeError, ValueError) as exc:
        detail = f"Version {version.number} cannot be read as cells."
        raise FakeProblem(422, "not-comparable", "Version cannot be compared", detail, version=version.number) from exc


def _paired(before: list[Cell], after: list[Cell]) -> dict[int, int]:
    """Give the place in `before` of each cell of `after` that was there."""
    left: dict[object, list[int]] = {}
    for i, cell in enumerate(before):
        left.setdefault(_key(cell), []).append(i)
    return {j: left[_key(cell)].pop(0) for j, cell in enumerate(after) if left.get(_key(cell))}


def _key(cell: Cell) -> object:
    return cell.get("id") or (cell["cell_type"], cell["source"])


def _changes(before: list[Cell], after: list[Cell], pairs: dict[int, int]) -> list[dict[str, Any]]:
    """Tell what became of each cell, in the order of `after`; what is gone stands where it was."""
    in_order = _longest_rising(sorted(pairs.items()))
    gone = [i for i in range(len(before)) if i not in pairs.values()]
    told = []
    for j, cell in enumerate(after):
        i = pairs.get(j)
        if j in in_order:
            told += [_change("removed", before[g], _ABSENT, g, None) for g in gone if g < pairs[j]]
            gone = [g for g in gone if g > pairs[j]]
        if i is None:
            told.append(_change("added", _ABSENT, cell, None, j))
        elif j not in in_order:
            told.append(_change("moved", before[i], cell, i, j))
        else:
            change = _change("changed", before[i], cell, i, j)
            if any(change[part] for part in ("source", "type_changed", "outputs_changed", "metadata_changed")):
                told.append(change)
    return [*told, *(_change("removed", before[g], _ABSENT, g, None) for g in gone)]


def _longest_rising(pairs: list[tuple[int, int]]) -> set[int]:
    """Give the places after of the longest row of cells that stayed in order."""
    best: list[list[tuple[int, int]]] = []
    for j, i in pairs:
        before = max((row for row in best if row[-1][1] < i), key=len, default=[])
        best.append([*before, (j, i)])
    return {j for j, _ in max(best, key=len, default=[])}


def _change(change: str, old: Cell, new: Cell, from_index: int | None, to_index: int | None) -> dict[str, Any]:
    shown, both = new or old, bool(old and new)
    return {
        "change": change,
        "cell_id": shown.get("id"),
        "cell_type": shown["cell_type"],
        "from_index": from_index,
        "to_index": to_index,
        "source": _hunks(old.get("source", ""), new.get("source", "")),
        "type_changed": both and old["cell_type"] != new["cell_type"],
        "outputs_changed": _outputs(old) != _outputs(new),
        "metadata_changed": both and _rest(old) != _rest(new),
    }


def _outputs(cell: Cell) -> list[Any]:
    return [{**output, "execution_count": None} for output in cell.get("outputs", [])]


def _rest(cell: Cell) -> Cell:
    told = ("id", "cell_type", "source", "outputs", "execution_count")
    return {name: value for name, value in cell.items() if name not in told}


def _hunks(before: str, after: str) -> list[dict[str, Any]]:
    old, new = before.split("\n") if before else [], after.split("\n") if after else []
    hunks = []
    for group in difflib.SequenceMatcher(None, old, new).get_grouped_opcodes(_CONTEXT):
        lines = []
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += [{"op": " ", "text": text} for text in old[i1:i2]]
            else:
                lines += [{"op": "-", "text": text} for text in old[i1:i2]]
                lines += [{"op": "+", "text": text} for text in new[j1:j2]]
        hunks.append({"from_line": group[0][1] + 1, "to_line": group[0][3] + 1, "lines": lines})
    return hunks
