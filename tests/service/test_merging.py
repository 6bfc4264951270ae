"""What a three-way merge of notebooks settles, and what it leaves to people."""

import copy
import json

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inset.documents import Document, parsed_document
from inset.errors import NotMergeable
from inset.merging import Unsettled, merge

ID = st.text("abcdefghijklmnop-_0123456789", min_size=1, max_size=8)
SOURCE = st.lists(st.text(max_size=12).filter(lambda line: "\n" not in line), max_size=5).map("\n".join)


def code(id, source="", *, outputs=(), count=None, **metadata):
    return {
        "cell_type": "code", "id": id, "metadata": metadata, "source": source,
        "outputs": list(outputs), "execution_count": count,
    }  # fmt: skip


def printed(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


def result(text, count):
    return {"output_type": "execute_result", "metadata": {}, "data": {"text/plain": text}, "execution_count": count}


def notebook(*cells, minor=5, **metadata):
    return parsed_document(copy.deepcopy(
        {"nbformat": 4, "nbformat_minor": minor, "metadata": metadata, "cells": list(cells)}
    ))  # fmt: skip


def merged(base, mine, theirs):
    outcome = merge(base, mine, theirs)
    assert isinstance(outcome, Document), outcome
    assert outcome == parsed_document(json.loads(outcome.content))
    return nbformat.v4.reads_json(outcome.content)


def sources(of):
    return [cell["source"] for cell in of["cells"]]


A, B, C = code("a", "import pandas as pd"), code("b", "data = pd.read_csv('x.csv')"), code("c", "data.plot()")


def test_what_nobody_changed_comes_back_byte_for_byte():
    document = notebook(A, B, kernelspec={"name": "python3", "display_name": "Python"})

    assert merge(document, document, document) == document


def test_cells_that_both_sides_added_at_one_place_are_both_there():
    out = merged(notebook(A), notebook(A, code("m", "mine")), notebook(A, code("t", "theirs")))

    assert sources(out) == [A["source"], "theirs", "mine"]


def test_a_cell_that_both_sides_added_alike_is_there_once():
    both = notebook(A, code("n", "new"))

    assert sources(merged(notebook(A), both, both)) == [A["source"], "new"]


def test_a_cell_added_in_front_of_one_that_the_other_side_changed_is_no_conflict():
    out = merged(notebook(A, B), notebook(A, code("n", "new"), B), notebook(A, code("b", "changed")))

    assert sources(out) == [A["source"], "new", "changed"]


def test_a_cell_that_one_side_removed_is_gone():
    out = merged(notebook(A, B, C), notebook(A, C), notebook(code("a", "changed"), B, C))

    assert sources(out) == ["changed", C["source"]]


def test_a_cell_that_one_side_moved_is_there_once():
    out = merged(notebook(A, B, C), notebook(C, A, B), notebook(A, B, C, code("n", "new")))

    assert sorted(sources(out)) == sorted(["new", *(cell["source"] for cell in (A, B, C))])


def test_a_source_of_one_side_and_outputs_of_the_other_are_both_taken():
    ran = {**A, "outputs": [printed("1\n")], "execution_count": 3}

    out = merged(notebook(A, B), notebook(code("a", "import polars as pl"), B), notebook(ran, B))

    assert out["cells"][0]["source"] == "import polars as pl"
    assert out["cells"][0]["outputs"][0]["text"] == "1\n"
    assert out["cells"][0]["execution_count"] == 3


def test_counts_and_looks_never_conflict_and_follow_the_outputs():
    base = notebook(code("a", "1", outputs=[result("1", 1)], count=1), B)
    mine = notebook(code("a", "1", outputs=[result("1", 7)], count=7, collapsed=True, scrolled=False), B)
    theirs = notebook(code("a", "1", outputs=[result("1", 5)], count=5, scrolled=True), B)

    cell = merged(base, mine, theirs)["cells"][0]

    assert (cell["execution_count"], cell["outputs"][0]["execution_count"]) == (5, 5)
    assert cell["metadata"] == {"scrolled": True}


def test_metadata_of_different_keys_merge():
    base = notebook(code("a", "1", tags=["x"]), kernelspec={"name": "python3", "display_name": "P"}, kept={"a": 1})
    mine = notebook(code("a", "1", tags=["x"], mine=1), kernelspec={"name": "python3", "display_name": "P"}, kept={})
    theirs = notebook(code("a", "1", tags=["y"]), kernelspec={"name": "ir", "display_name": "R"}, kept={"a": 1, "b": 2})

    out = merged(base, mine, theirs)

    assert out["cells"][0]["metadata"] == {"tags": ["y"], "mine": 1}
    assert out["metadata"] == {"kernelspec": {"name": "ir", "display_name": "R"}, "kept": {"b": 2}}


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "unsettled"),
    [
        ([A, B], [A, code("b", "mine")], [A, code("b", "theirs")], [("b", "source")]),
        ([A], [{**A, "outputs": [printed("1")]}], [{**A, "outputs": [printed("2")]}], [("a", "outputs")]),
        ([A], [{**A, "outputs": [printed("1")]}], [{**A, "outputs": [printed("1"), printed("2")]}], [("a", "outputs")]),
        ([A], [code("a", A["source"], tags=["m"])], [code("a", A["source"], tags=["t"])], [("a", "metadata")]),
        ([A, B], [A], [A, code("b", "changed")], [("b", "cells")]),
        ([A, B], [A, code("b", "changed")], [A], [("b", "cells")]),
        ([A], [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": A["source"]}],
         [code("a", "changed")], [("a", "cells")]),
        ([A], [A, code("n", "mine")], [A, code("n", "theirs")], [("n", "cells")]),
        ([A, B, C], [B, A, C], [A, C, B], None),
        ([A, B], [code("a", "m"), code("b", "m")], [code("a", "t"), code("b", "t")],
         [("a", "source"), ("b", "source")]),
    ],
)  # fmt: skip
def test_what_both_sides_changed_in_their_own_ways_is_named(base, mine, theirs, unsettled):
    outcome = merge(notebook(*base), notebook(*mine), notebook(*theirs))

    if unsettled is None:  # moved by both: settled or not, but never there twice
        assert isinstance(outcome, list) or sorted(sources(json.loads(outcome.content))) == sorted(
            [cell["source"]] for cell in base
        )
    else:
        assert outcome == [Unsettled(cell=cell, part=part) for cell, part in unsettled]


def test_a_true_that_was_a_one_is_a_change():
    outcome = merge(notebook(A, n=True), notebook(A, n=1), notebook(A, n=False))

    assert outcome == [Unsettled(cell=None, part="notebook metadata")]


def test_cells_without_ids_are_found_by_what_they_hold():
    old = [{key: value for key, value in cell.items() if key != "id"} for cell in (A, B, C)]
    mine = [old[0], {**old[1], "source": "data = pd.read_csv('y.csv')"}, old[2]]
    theirs = [*old, {**old[0], "source": "data.describe()"}]

    out = merged(notebook(*old, minor=4), notebook(*mine, minor=4), notebook(*theirs, minor=4))
    in_one_place = merge(
        notebook(*old, minor=4), notebook(*mine, minor=4),
        notebook(old[0], {**old[1], "source": "data = pd.read_csv('z.csv')"}, old[2], minor=4),
    )  # fmt: skip

    assert sources(out) == [A["source"], "data = pd.read_csv('y.csv')", C["source"], "data.describe()"]
    assert in_one_place == [Unsettled(cell=1, part="source")]


def test_ids_that_one_sides_editor_gave_are_taken():
    old = [{key: value for key, value in cell.items() if key != "id"} for cell in (A, B)]

    out = merged(
        notebook(*old, minor=4), notebook(A, code("b", "changed = pd.read_csv('x.csv')")), notebook(*old, minor=4)
    )

    assert (out["nbformat_minor"], [cell["id"] for cell in out["cells"]]) == (5, ["a", "b"])


@pytest.mark.parametrize("which", range(3))
def test_what_is_no_notebook_is_not_merged(which):
    three = [notebook(A)] * 3
    three[which] = Document(b"{}", valid=False)

    with pytest.raises(NotMergeable):
        merge(*three)


@st.composite
def edits(draw):
    """A notebook, and what two people make of it who change different cells."""
    ids = draw(st.lists(ID, min_size=2, max_size=8, unique=True))
    cells = [code(id, draw(SOURCE), outputs=[printed(id)] * draw(st.integers(0, 1))) for id in ids]
    sides = [copy.deepcopy(cells), copy.deepcopy(cells)]
    expected = {}
    for index, id in enumerate(ids):
        side = draw(st.sampled_from([None, 0, 1]))
        if side is not None:
            what = draw(st.sampled_from(["source", "outputs", "gone"]))
            if what == "source":
                sides[side][index]["source"] = draw(SOURCE)
            elif what == "outputs":
                sides[side][index]["outputs"] = [printed(draw(st.text(max_size=5)))]
            expected[id] = None if what == "gone" else sides[side][index]
    for side in sides:
        side[:] = [cell for cell in side if expected.get(cell["id"], cell) is not None]
    added = draw(st.lists(ID.filter(lambda id: id not in ids), max_size=3, unique=True))
    for id in added:
        side = draw(st.sampled_from(sides))
        side.insert(draw(st.integers(0, len(side))), code(id, draw(SOURCE)))
    return cells, *sides, [(id, expected.get(id, cell)) for id, cell in zip(ids, cells, strict=True)], set(added)


@settings(max_examples=200)
@given(edits())
def test_changes_of_different_cells_are_all_in_the_merge(three):
    base, mine, theirs, expected, added = three

    out = merged(notebook(*base), notebook(*mine), notebook(*theirs))

    old = [(cell["id"], cell["source"], cell["outputs"]) for cell in out["cells"] if cell["id"] not in added]
    assert old == [(id, cell["source"], cell["outputs"]) for id, cell in expected if cell is not None]
    assert {cell["id"] for cell in out["cells"]} >= added


def _anything():
    cells = st.lists(st.builds(code, st.sampled_from("abcde"), SOURCE), max_size=4, unique_by=lambda cell: cell["id"])
    return st.builds(lambda cells: notebook(*cells), cells)


@settings(max_examples=200)
@given(_anything(), _anything(), _anything())
def test_every_merge_is_a_notebook_with_what_each_side_wrote_or_names_a_conflict(base, mine, theirs):
    outcome = merge(base, mine, theirs)

    if isinstance(outcome, Document):
        out = nbformat.v4.reads_json(outcome.content)
        lines = {line for source in sources(out) for line in source.split("\n")}
        was = {line for source in sources(nbformat.v4.reads_json(base.content)) for line in source.split("\n")}
        for side in (mine, theirs):
            wrote = {line for source in sources(nbformat.v4.reads_json(side.content)) for line in source.split("\n")}
            assert wrote - was - {""} <= lines
        assert len({cell["id"] for cell in out["cells"]}) == len(out["cells"])
    else:
        assert outcome
