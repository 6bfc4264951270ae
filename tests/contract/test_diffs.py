"""Versions compared by their cells: the kits say what the service says."""

from typing import Any

import pytest

from inset_client import AsyncInset, AsyncUser, NotAllowed, VersionConflict, VersionNotFound
from inset_client.models import NotebookDiff
from tests.support.insets import ALL

pytestmark = ALL


def _cell(id: str, source: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "cell_type": "markdown", "metadata": {}, "source": source, **more}


def _code(id: str, source: str, **more: Any) -> dict[str, Any]:
    return _cell(id, source, **{"cell_type": "code", "execution_count": None, "outputs": [], **more})


def _notebook(*cells: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)}


async def _compared(user: AsyncUser, before: dict[str, Any], after: dict[str, Any]) -> NotebookDiff:
    made = await user.notebooks.create("Analysis", before)
    await user.notebooks.replace(made.id, after, base=1)
    return await user.notebooks.diff(made.id, 1, 2)


def _told(diff: NotebookDiff) -> list[tuple[str, str | None, int | None, int | None]]:
    return [(cell.change, cell.cell_id, cell.from_index, cell.to_index) for cell in diff.cells]


async def test_cells_come_go_and_change(user: AsyncUser) -> None:
    before = _notebook(_cell("a", "one\ntwo\nthree"), _cell("b", "goes"), _cell("c", "stays"))
    after = _notebook(_cell("a", "one\n2\nthree"), _cell("c", "stays"), _cell("d", "comes"))

    diff = await _compared(user, before, after)

    assert _told(diff) == [("changed", "a", 0, 0), ("removed", "b", 1, None), ("added", "d", None, 2)]
    lines = [[line.op + line.text for hunk in cell.source for line in hunk.lines] for cell in diff.cells]
    assert lines == [[" one", "-two", "+2", " three"], ["-goes"], ["+comes"]]
    assert (diff.from_version, diff.to_version, diff.unchanged, diff.metadata_changed) == (1, 2, 1, False)


async def test_lines_are_told_with_three_around_them_by_their_numbers(user: AsyncUser) -> None:
    lines = [f"line {number}" for number in range(1, 41)]
    changed = ["first", *lines[1:29], "new", *lines[29:]]

    diff = await _compared(user, _notebook(_cell("a", "\n".join(lines))), _notebook(_cell("a", "\n".join(changed))))

    hunks = [(hunk.from_line, hunk.to_line, "".join(line.op for line in hunk.lines)) for hunk in diff.cells[0].source]
    assert hunks == [(1, 1, "-+   "), (27, 27, "   +   ")]


async def test_a_cell_that_went_elsewhere_has_moved(user: AsyncUser) -> None:
    cells = [_cell(id, f"This is cell {id}.") for id in "abcd"]

    diff = await _compared(user, _notebook(*cells), _notebook(cells[3], *cells[:3]))

    assert _told(diff) == [("moved", "d", 3, 0)]
    assert diff.unchanged == 3


async def test_what_is_not_the_source_is_told_apart_and_running_again_is_no_change(user: AsyncUser) -> None:
    hello = {"output_type": "stream", "name": "stdout", "text": ["hello"]}
    before = _notebook(*(_code(id, "same") for id in "abcd"))
    after = _notebook(
        _code("a", "same", outputs=[hello]),
        _code("b", "same", execution_count=7),
        _code("c", "same", metadata={"tags": ["x"]}),
        _cell("d", "same"),
        mine=1,
    )

    diff = await _compared(user, before, after)

    told = [(cell.cell_id, cell.outputs_changed, cell.metadata_changed, cell.type_changed) for cell in diff.cells]
    assert told == [("a", True, False, False), ("c", False, True, False), ("d", False, False, True)]
    assert [cell.source for cell in diff.cells] == [[], [], []]
    assert (diff.metadata_changed, diff.unchanged) == (True, 1)


async def test_the_second_version_is_the_current_one_unless_it_is_named(user: AsyncUser) -> None:
    made = await user.notebooks.create("Analysis", _notebook(_cell("a", "1")))
    await user.notebooks.replace(made.id, _notebook(_cell("a", "2")), base=1)
    with pytest.raises(VersionConflict):
        await user.notebooks.replace(made.id, _notebook(_cell("a", "aside")), base=1)

    assert (await user.notebooks.diff(made.id, 1)).to_version == 2
    same = await user.notebooks.diff(made.id, 3, 3)
    assert (same.cells, same.unchanged) == ([], 1)
    for old, new in ((1, 9), (9, 1)):
        with pytest.raises(VersionNotFound):
            await user.notebooks.diff(made.id, old, new)


async def test_who_may_not_download_gets_no_comparison(inset: AsyncInset, user: AsyncUser, name: str) -> None:
    made = await user.notebooks.create("Analysis", _notebook(_cell("a", "1")))

    with pytest.raises(NotAllowed) as caught:
        await inset.as_user(name, may=["run"]).notebooks.diff(made.id, 1)
    assert caught.value.needs == "download"
