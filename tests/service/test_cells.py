"""What is known of a notebook's cells changes how fast a document is looked at, and nothing else."""

import json

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inset.cells import Cut, cut
from inset.documents import document_from_jupyter, uploaded_document
from inset.errors import NotANotebook, NotJson, UnsupportedNbformat
from tests.service.conftest import document


def _bytes(notebook: dict) -> bytes:
    return (nbformat.writes(nbformat.from_dict(notebook)) + "\n").encode("utf-8", "backslashreplace")


def _outcome(content: bytes, known: Cut | None = None) -> object:
    try:
        stored = uploaded_document(content, known).content
    except (NotANotebook, NotJson, UnsupportedNbformat) as exc:
        return f"{type(exc).__name__}: {exc.detail}"
    if stored == content:
        return stored
    # Written anew; where an id is missing or taken, nbformat has drawn one.
    notebook = json.loads(stored)
    return {**notebook, "cells": [{**cell, "id": None} for cell in notebook["cells"]]}


_CELLS = st.sampled_from(["x = 1", "print('}')\n  },\n  {", 'text = "\\n  },\\n  {\\n"', "# ü \0 \ud800", ""])
_CONFUSING = [
    b"",
    b"\n  },\n  {\n",
    b'\n  }\n ],\n "metadata": {',
    b'"nbformat_minor": 4',
    b'"trusted": true',
    b"\n",
    b" ",
    b'"cells": [],',
    b'\n   "id": "one",',
    b"]",
    b"NaN",
]


@st.composite
def _documents(draw: st.DrawFn) -> bytes:
    made = document(*draw(st.lists(_CELLS, max_size=5)))
    for cell in made["cells"]:
        cell["id"] = draw(st.sampled_from(["one", "two", "three", "four"]))
        cell["metadata"] = draw(st.sampled_from([{}, {"list": [{}, {}]}, {"cells": [{"a": 1}], "metadata": {}}]))
    made["nbformat_minor"] = draw(st.sampled_from([4, 5, 5, 5]))
    if made["nbformat_minor"] == 4:
        for cell in made["cells"]:
            del cell["id"]
    content = (json.dumps(made, indent=draw(st.sampled_from([1, 1, 1, 2])), sort_keys=True) + "\n").encode()
    if draw(st.booleans()):
        content = _bytes(json.loads(content))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.sampled_from(_CONFUSING)) + content[at + draw(st.integers(0, 12)) :]
    return content


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.lists(_documents(), min_size=2, max_size=5), st.booleans())
@pytest.mark.filterwarnings("ignore::nbformat.warnings.MissingIDFieldWarning")
@pytest.mark.filterwarnings("ignore::nbformat.warnings.DuplicateCellId")
def test_a_document_is_judged_as_if_it_were_the_first(contents, held):
    known = None
    for content in contents:
        assert _outcome(content, known) == _outcome(content)
        taken = document_from_jupyter(content, known)
        assert taken == document_from_jupyter(content)
        if taken.cut:
            assert taken.cut.content == content
            known = taken.cut if held else taken.cut.without_texts()


def test_the_cells_of_one_document_are_known_in_the_next():
    made = document("1", "2", "3", "4")
    first = _cut(made)
    made["cells"][1]["source"] = "two"
    del made["cells"][2]
    made["cells"].insert(0, {**made["cells"][0], "id": "new"})

    second, new = cut(_bytes(made), first)

    assert [cell.text for cell in new] == [second.cells[place].text for place in (0, 2)]
    assert (second.cells[1], second.cells[3]) == (first.cells[0], first.cells[3])
    assert second.tail is first.tail


def test_cells_that_are_no_longer_held_are_known_by_their_hashes():
    made = document("1", "2", "3")
    left = _cut(made).without_texts()
    made["cells"][1]["source"] = "two"

    whole, new = cut(_bytes(made), left)

    assert new == [whole.cells[1]]
    assert [cell.id for cell in whole.cells] == [made["cells"][0]["id"], None, made["cells"][2]["id"]]


def test_what_is_known_for_one_minor_version_is_not_for_another():
    made = document("1")
    known = _cut(made)
    made["nbformat_minor"] = 4
    with_ids = (json.dumps(made, indent=1, sort_keys=True) + "\n").encode()

    # Before 4.5 a cell has no id.
    with pytest.raises(NotANotebook):
        uploaded_document(with_ids, known)


def test_a_large_document_is_looked_at_a_part_at_a_time():
    content = _bytes(document(*["x" * 100_000 for _ in range(30)]))
    parts, new = cut(content)

    batches = list(parts.batches(new))

    assert [cell for batch in batches for cell in batch] == parts.cells
    assert all(sum(len(cell.text) for cell in batch) <= 1024 * 1024 for batch in batches)
    assert parts.content == content


def _cut(notebook: dict) -> Cut:
    found = uploaded_document(_bytes(notebook)).cut
    assert found
    return found
