"""How two documents differ, in cells.

Whatever the documents hold, the effort is bounded, and by counting instead of by a clock: equal documents have
equal diffs. Where the effort is used up, cells are told as removed and added that might be one cell, changed.
"""

import difflib
import hashlib
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nbdime.diffing.generic import compare_strings_approximate
from nbdime.diffing.snakes import compute_snakes_multilevel

from inset.documents import Document
from inset.errors import NotComparable
from inset.models import CellChange, Change, DiffLine, Hunk, NotebookDiff, Version

_EFFORT = 20_000_000
"""What the search for similar cells and lines may cost: about a second, and seconds for what is made to be slow."""
_MOST_PAIRS = 250_000
"""Pairs of cells between which nbdime looks for the similar ones; it looks at each."""
_LONG = 200
"""Characters from which on two sources are similar by their words and no longer by their characters."""
_SIMILAR = 0.7
_CONTEXT = 3
"""Equal lines that are shown around changed ones."""


@dataclass(frozen=True)
class _Cell:
    id: str | None
    type: str
    source: str
    outputs: str
    rest: str

    @property
    def key(self) -> tuple[str, ...]:
        """By what a cell is known on both sides: its id, or what it says where it has none."""
        return (self.id,) if self.id is not None else (self.type, self.source)


@dataclass(frozen=True)
class _Notebook:
    cells: list[_Cell]
    rest: str


class _Effort:
    def __init__(self) -> None:
        self._left = _EFFORT
        self._known: dict[tuple[int, int], bool] = {}

    def spend(self, cost: int) -> bool:
        """Tell whether that much may still be done."""
        self._left -= cost
        return self._left >= 0

    def similar(self, a: _Cell, b: _Cell) -> bool:
        """Tell whether one cell could have become the other; asked again, the same."""
        pair = id(a), id(b)
        if pair not in self._known:
            self._known[pair] = self._similar(a, b)
        return self._known[pair]

    def _similar(self, a: _Cell, b: _Cell) -> bool:
        if a.type != b.type or bool(a.source.strip()) != bool(b.source.strip()):
            return False
        if a.source == b.source:
            return True
        if max(len(a.source), len(b.source)) <= _LONG:
            affordable = self.spend(len(a.source) * len(b.source))
            return affordable and bool(compare_strings_approximate(a.source, b.source, threshold=_SIMILAR))
        if not self.spend(len(a.source) + len(b.source)):
            return False
        one, other = Counter(a.source.split()), Counter(b.source.split())
        return 2 * (one & other).total() > _SIMILAR * (one.total() + other.total())


def compare(old: Version, old_document: Document, new: Version, new_document: Document) -> NotebookDiff:
    """Find out how one version became another. Raises `NotComparable`. Takes up to seconds of CPU: use a thread."""
    before, after = _read(old, old_document), _read(new, new_document)
    changes = list(_changes(before.cells, after.cells, _Effort()))
    return NotebookDiff(
        from_version=old.number,
        from_sha256=old.sha256,
        to_version=new.number,
        to_sha256=new.sha256,
        metadata_changed=before.rest != after.rest,
        cells=changes,
        unchanged=len(after.cells) - sum(change.to_index is not None for change in changes),
    )


def _read(version: Version, document: Document) -> _Notebook:
    """Read what the comparison needs. An invalid notebook is read, too, as long as it has cells."""
    try:
        parsed = json.loads(document.content)
        cells = parsed.pop("cells")
        return _Notebook([_cell(cell) for cell in cells], _digest(parsed))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as exc:
        raise NotComparable(version.number) from exc


def _cell(cell: dict[str, Any]) -> _Cell:
    rest = {**cell}
    rest.pop("execution_count", None)
    id, type, source = rest.pop("id", None), rest.pop("cell_type"), rest.pop("source")
    outputs = [_without_count(output) for output in rest.pop("outputs", None) or []]
    return _Cell(
        id=_shown(id) if isinstance(id, str) else None,
        type=_shown(str(type)),
        source=_shown(source if isinstance(source, str) else "".join(source)),
        outputs=_digest(outputs),
        rest=_digest(rest),
    )


def _without_count(output: Any) -> Any:
    return {**output, "execution_count": None} if isinstance(output, dict) else output


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _shown(text: str) -> str:
    # What a JSON string can hold, and UTF-8 can't.
    return text.encode("utf-8", "backslashreplace").decode()


def _aligned(before: Sequence[_Cell], after: Sequence[_Cell], effort: _Effort) -> list[tuple[int, int]]:
    """Pair the cells that stayed in order: those that both know by one key first, similar ones between them then."""
    shared = {cell.id for cell in before if cell.id is not None} & {cell.id for cell in after}

    def strangers(a: _Cell, b: _Cell) -> bool:
        return a.id not in shared and b.id not in shared

    # From coarse to fine, as nbdime takes them. A cell whose id is still there has become no other.
    levels = [
        lambda a, b: strangers(a, b) and effort.similar(a, b),
        lambda a, b: strangers(a, b) and (a.type, a.source) == (b.type, b.source),
    ]
    pairs: list[tuple[int, int]] = []
    i0 = j0 = 0
    for i, j in [*_anchors(before, after), (len(before), len(after))]:
        if i > i0 and j > j0 and (i - i0) * (j - j0) <= _MOST_PAIRS:
            for a, b, length in compute_snakes_multilevel(before[i0:i], after[j0:j], levels):
                pairs += [(i0 + a + n, j0 + b + n) for n in range(length)]
        if i < len(before) and j < len(after):
            pairs.append((i, j))
        i0, j0 = i + 1, j + 1
    return pairs


def _anchors(before: Sequence[_Cell], after: Sequence[_Cell]) -> list[tuple[int, int]]:
    """Find the longest sequence of keys, each the only one of its side, that both have in this order."""
    places = _unique(after)
    common = [(i, places[key]) for key, i in _unique(before).items() if key in places]
    tails: list[int] = []
    chains: list[tuple[int, int, int]] = []  # by length: the last place in `before`, in `after`, its predecessor
    ends: list[int] = []
    for i, j in common:
        length = bisect_left(tails, j)
        tails[length : length + 1] = [j]
        ends[length : length + 1] = [len(chains)]
        chains.append((i, j, ends[length - 1] if length else -1))
    anchors, at = [], ends[-1] if ends else -1
    while at >= 0:
        i, j, at = chains[at]
        anchors.append((i, j))
    return anchors[::-1]


def _unique(cells: Sequence[_Cell]) -> dict[tuple[str, ...], int]:
    counted = Counter(cell.key for cell in cells)
    return {cell.key: n for n, cell in enumerate(cells) if counted[cell.key] == 1}


def _changes(before: Sequence[_Cell], after: Sequence[_Cell], effort: _Effort) -> Iterator[CellChange]:
    """Tell what became of each cell, in the order of `after`; what is gone stands where it was."""
    came = {j: i for i, j in _aligned(before, after, effort)}
    stayed = set(came.values())
    gone = [i for i in range(len(before)) if i not in stayed]
    homes = {before[i].id: i for i in gone if before[i].id is not None}
    moved = {j: homes.pop(cell.id) for j, cell in enumerate(after) if j not in came and cell.id in homes}
    elsewhere = set(moved.values())
    removed = iter([i for i in gone if i not in elsewhere])
    next_removed = next(removed, None)
    reached = [len(before)]
    for j in range(len(after) - 1, -1, -1):
        reached.append(came.get(j, reached[-1]))
    for j in range(len(after) + 1):
        while next_removed is not None and next_removed < reached[len(after) - j]:
            yield _change("removed", before, after, next_removed, None, effort)
            next_removed = next(removed, None)
        if j == len(after):
            return
        if j in came:
            change = _change("changed", before, after, came[j], j, effort)
            if change.source or change.type_changed or change.outputs_changed or change.metadata_changed:
                yield change
        elif j in moved:
            yield _change("moved", before, after, moved[j], j, effort)
        else:
            yield _change("added", before, after, None, j, effort)


def _change(
    change: Change,
    before: Sequence[_Cell],
    after: Sequence[_Cell],
    from_index: int | None,
    to_index: int | None,
    effort: _Effort,
) -> CellChange:
    old = _ABSENT if from_index is None else before[from_index]
    new = _ABSENT if to_index is None else after[to_index]
    both = _ABSENT not in (old, new)
    shown = old if new is _ABSENT else new
    return CellChange(
        change=change,
        cell_id=shown.id,
        cell_type=shown.type,
        from_index=from_index,
        to_index=to_index,
        source=_hunks(old.source, new.source, effort),
        type_changed=both and old.type != new.type,
        outputs_changed=old.outputs != new.outputs,
        metadata_changed=both and old.rest != new.rest,
    )


_ABSENT = _Cell(id=None, type="", source="", outputs=_digest([]), rest="")


def _hunks(before: str, after: str, effort: _Effort) -> list[Hunk]:
    if before == after:
        return []
    old, new = before.split("\n") if before else [], after.split("\n") if after else []
    # What is equal at both ends costs nothing, but for the lines around a change that are shown.
    start, shorter = 0, min(len(old), len(new))
    while start < shorter and old[start] == new[start]:
        start += 1
    end = 0
    while end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    start, end = max(0, start - _CONTEXT), max(0, end - _CONTEXT)
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    # The longest time that the search can take: so often as there can be matches, so long as equal lines can be many.
    alike = len(new) if len(new) < 200 else len(new) // 100 + 2
    if not effort.spend(len(old) * alike * min(len(old), len(new))):
        return [Hunk(from_line=start + 1, to_line=start + 1, lines=[*_lines("-", old), *_lines("+", new)])]
    hunks = []
    for group in difflib.SequenceMatcher(None, old, new).get_grouped_opcodes(_CONTEXT):
        lines: list[DiffLine] = []
        for tag, i1, i2, j1, j2 in group:
            lines += _lines(" ", old[i1:i2]) if tag == "equal" else [*_lines("-", old[i1:i2]), *_lines("+", new[j1:j2])]
        hunks.append(Hunk(from_line=start + group[0][1] + 1, to_line=start + group[0][3] + 1, lines=lines))
    return hunks


def _lines(op: Literal["+", "-", " "], texts: Sequence[str]) -> list[DiffLine]:
    return [DiffLine(op=op, text=text) for text in texts]
