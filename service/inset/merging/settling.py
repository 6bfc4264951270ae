"""What becomes of a value that two sides may have changed: JSON, mappings, lines of text."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

from nbdime.diffing.seq_difflib import diff_sequence_difflib
from nbdime.merging.decisions import apply_decisions
from nbdime.merging.generic import decide_merge_with_diff

Json = dict[str, Any]

_ABSENT = object()
"""Stands for what a mapping does not hold."""


class BothChanged(Exception):
    """Both sides changed it, each in its own way."""


def settle(base: Any, mine: Any, theirs: Any, *, essence: Callable[[Any], Any] = lambda value: value) -> Any:
    """Take what one side changed, or both alike. Raises `BothChanged`.

    Only a change of a value's essence counts; where it is of one essence on both sides, theirs is taken, unless only
    mine has changed at all.
    """
    was, of_mine, of_theirs = (text_of(essence(value)) for value in (base, mine, theirs))
    if of_theirs == was and (of_mine != was or text_of(theirs) == text_of(base)):
        return mine
    if of_mine in (was, of_theirs):
        return theirs
    raise BothChanged


def settle_mapping(base: Json, mine: Json, theirs: Json) -> Json:
    """Settle key by key, mappings within included. Raises `BothChanged`."""
    settled = {}
    for key in {**base, **theirs, **mine}:
        values = [side.get(key, _ABSENT) for side in (base, mine, theirs)]
        if all(isinstance(value, dict) for value in values):
            settled[key] = settle_mapping(*values)
        elif (value := settle(*values)) is not _ABSENT:
            settled[key] = value
    return settled


def settle_lines(base: str, mine: str, theirs: str) -> str:
    """Merge texts line by line. Raises `BothChanged` where both sides changed the same lines."""
    with contextlib.suppress(BothChanged):
        return str(settle(base, mine, theirs))
    lines, *sides = (text.split("\n") for text in (base, mine, theirs))
    # Given as lists, never as texts: for these nbdime keeps a flag that threads would share.
    changes = (diff_sequence_difflib(lines, side) for side in sides)
    decisions = decide_merge_with_diff(lines, *sides, *changes)
    if any(decision.conflict for decision in decisions):
        raise BothChanged
    return "\n".join(apply_decisions(lines, decisions))


def text_of(value: Any) -> str:
    """Write a value so that equal text means equal JSON. For Python, 1, 1.0 and True are the same."""
    return "" if value is _ABSENT else json.dumps(value, sort_keys=True)
