"""What became of a notebook: two versions compared, as JSON and as a page."""

import hashlib
import json
import random
import re
import time
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlmodel import col

from inset.db import open_database
from inset.diffs import compare
from inset.documents import Document
from inset.models import Version
from tests.service.conftest import document, problem

HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>&\"'\u202e\x07"


@pytest.fixture
def history(client, new_notebook):
    """Store documents as versions of one notebook; gives its path."""

    async def store(*documents):
        path = f"/v1/notebooks/{(await new_notebook(content=documents[0]))['id']}"
        for number, content in enumerate(documents[1:], 1):
            stored = await client.put(
                f"{path}/content", content=json.dumps(content), headers={"If-Match": f'"{number}"'}
            )
            assert stored.json()["version"] == number + 1, stored.text
        return path

    return store


def _cell(id, source, **more):
    return {"id": id, "cell_type": "markdown", "metadata": {}, "source": source, **more}


def _notebook(*cells, **more):
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **more}


def _told(diff):
    return [(cell["change"], cell["cell_id"], cell["from_index"], cell["to_index"]) for cell in diff["cells"]]


def _source(cell):
    return [line["op"] + line["text"] for hunk in cell["source"] for line in hunk["lines"]]


async def test_versions_are_compared_by_their_cells(client, history):
    before = _notebook(_cell("a", "one\ntwo\nthree"), _cell("b", "goes"), _cell("c", "stays"))
    after = _notebook(_cell("a", "one\n2\nthree"), _cell("c", "stays"), _cell("d", "comes"))
    path = await history(before, after)

    diff = (await client.get(f"{path}/diff", params={"from": 1, "to": 2})).json()

    assert _told(diff) == [("changed", "a", 0, 0), ("removed", "b", 1, None), ("added", "d", None, 2)]
    assert [_source(cell) for cell in diff["cells"]] == [[" one", "-two", "+2", " three"], ["-goes"], ["+comes"]]
    assert (diff["from_version"], diff["to_version"], diff["unchanged"]) == (1, 2, 1)
    assert not diff["metadata_changed"]


async def test_the_second_version_is_the_current_one_unless_it_is_named(client, history):
    path = await history(document("1"), document("2"), document("3"))

    assert (await client.get(f"{path}/diff", params={"from": 1})).json()["to_version"] == 3
    assert (await client.get(f"{path}/diff", params={"from": 2, "to": 2})).json()["cells"] == []


async def test_outputs_and_metadata_are_told_apart_from_the_source_and_running_again_is_no_change(client, history):
    before, after = document("same", "counted", "tagged"), document("same", "counted", "tagged")
    after["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "hello"}]
    after["cells"][1]["execution_count"] = 7
    after["cells"][2]["metadata"] = {"tags": ["x"]}
    after["metadata"] = {"mine": 1}
    path = await history(before, after)

    diff = (await client.get(f"{path}/diff", params={"from": 1})).json()

    assert [(c["cell_id"], c["outputs_changed"], c["metadata_changed"], c["source"]) for c in diff["cells"]] == [
        ("c0", True, False, []),
        ("c2", False, True, []),
    ]
    assert diff["metadata_changed"]


async def test_a_cell_that_went_elsewhere_has_moved(client, history):
    cells = [_cell(id, f"This is cell {id}.") for id in "abcd"]
    path = await history(_notebook(*cells), _notebook(cells[3], cells[0], cells[1], cells[2]))

    diff = (await client.get(f"{path}/diff", params={"from": 1})).json()

    assert _told(diff) == [("moved", "d", 3, 0)]
    assert diff["unchanged"] == 3


async def test_cells_without_ids_are_known_by_what_they_say(client, history):
    def old(*sources):
        cells = [{"cell_type": "markdown", "metadata": {}, "source": source} for source in sources]
        return {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}

    prose = "A paragraph of many words that stands in one line and that somebody writes on from time to time. " * 4
    path = await history(old("x = 1 + 1", "same", "same", prose), old("y", "x = 1 + 2", "same", "same", prose + "End."))

    diff = (await client.get(f"{path}/diff", params={"from": 1})).json()

    assert _told(diff) == [("added", None, None, 0), ("changed", None, 0, 1), ("changed", None, 3, 4)]


async def test_what_has_no_cells_cannot_be_compared_and_says_so(client, hub, new_notebook, ready_session):
    notebook = await new_notebook()
    await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    await hub.save_in_jupyter(path, "not json", origin="save")
    await hub.save_in_jupyter(
        path, json.dumps({"cells": [{"cell_type": "poem", "source": ["a\n", "b"]}]}), origin="save"
    )

    answer = await client.get(f"/v1/notebooks/{notebook['id']}/diff", params={"from": 1, "to": 2})
    lenient = await client.get(f"/v1/notebooks/{notebook['id']}/diff", params={"from": 1, "to": 3})

    assert (answer.status_code, problem(answer), answer.json()["version"]) == (422, "not-comparable", 2)
    assert [(c["change"], c["cell_type"]) for c in lenient.json()["cells"]] == [("removed", "code"), ("added", "poem")]


async def test_versions_of_somebody_else_and_unknown_ones_are_not_found(client, host, history):
    path = await history(document("1"), document("2"))

    unknown = await client.get(f"{path}/diff", params={"from": 1, "to": 9})
    hers = await client.get(f"{path}/diff", params={"from": 1}, headers=host.bearer("grace"))
    without = await client.get(f"{path}/diff")

    assert problem(unknown) == "version-not-found"
    assert problem(hers) == "notebook-not-found"
    assert problem(without) == "invalid-request"


async def test_who_may_not_download_gets_no_diff(client, host, history):
    path = await history(document("secret"), document("2"))

    answer = await client.get(f"{path}/diff", params={"from": 1}, headers=host.bearer(may=["edit", "run"]))

    assert problem(answer) == "not-allowed"


async def test_a_diff_that_the_reader_has_is_not_sent_again(client, history):
    path = await history(document("1"), document("2"))
    tags = {}
    for format in ("json", "html"):
        tags[format] = (await client.get(f"{path}/diff", params={"from": 1, "format": format})).headers["ETag"]

        again = await client.get(
            f"{path}/diff", params={"from": 1, "format": format}, headers={"If-None-Match": tags[format]}
        )

        assert (again.status_code, again.content) == (304, b"")
    other = await client.get(f"{path}/diff", params={"from": 1}, headers={"If-None-Match": tags["html"]})
    assert tags["json"] != tags["html"]
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json, text/html", "application/json"),
        ("*/*", "application/json"),
    ],
)
async def test_a_browser_gets_a_page_and_a_program_json(client, history, accept, kind):
    path = await history(document("1"), document("2"))

    answer = await client.get(f"{path}/diff", params={"from": 1}, headers={"Accept": accept})

    assert answer.headers["Content-Type"].partition(";")[0] == kind
    assert "Accept" in answer.headers["Vary"]


async def test_nothing_of_a_notebook_is_more_than_text_in_the_page(client, history):
    hostile = _cell("x", HOSTILE, metadata={"a": HOSTILE})
    path = await history(_notebook(_cell("x", "before")), _notebook(hostile, _cell("y", HOSTILE)))
    await client.patch(path, json={"name": "<script>alert(3)</script>"})

    answer = await client.get(f"{path}/diff", params={"from": 1, "format": "html"})

    page = answer.text
    assert set(re.findall(r"<(\w+)", page)) <= {
        "html", "head", "meta", "title", "style", "body", "h1", "p", "main", "article", "h2", "b", "span", "ul", "li",
        "table", "tr", "td",
    }  # fmt: skip
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\u202e" not in page, "what turns the direction of text is written out"
    assert r"\u202e\u0007" in page
    policy = answer.headers["Content-Security-Policy"]
    style = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    assert f"style-src 'sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("sandbox")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == "inline"


async def test_half_of_a_surrogate_pair_is_no_accident(client, history):
    path = await history(_notebook(_cell("a", "x")), _notebook(_cell("a", "\ud83d")))

    as_json = await client.get(f"{path}/diff", params={"from": 1})
    as_page = await client.get(f"{path}/diff", params={"from": 1, "format": "html"})

    assert _source(as_json.json()["cells"][0]) == ["-x", r"+\ud83d"]
    assert r"\ud83d" in as_page.text


async def test_what_is_too_large_to_compare_is_refused_with_the_limit(client, settings, history):
    path = await history(document("1"), document("2"))
    async with open_database(settings.database_url) as database, database.transaction() as db:
        await db.exec(update(Version).where(col(Version.number) == 2).values(size=64 * 1024 * 1024))

    answer = await client.get(f"{path}/diff", params={"from": 1})

    assert (answer.status_code, problem(answer), answer.json()["limit"]) == (422, "diff-too-large", 64 * 1024 * 1024)


def _compared(before, after):
    sides = [Document(json.dumps(one).encode()) for one in (before, after)]
    rows = [
        Version(notebook_id="n", number=n, sha256=one.sha256, size=one.size, origin="api", author="ada")
        for n, one in enumerate(sides, 1)
    ]
    return compare(rows[0], sides[0], rows[1], sides[1])


CELLS = st.lists(
    st.builds(
        lambda id, type, source: {"cell_type": type, "source": source, "metadata": {}, **({"id": id} if id else {})},
        st.sampled_from(["", "a", "b", "c", "d"]),
        st.sampled_from(["code", "markdown"]),
        st.text("ab \n", max_size=12),
    ),
    max_size=7,
)


@settings(max_examples=300)
@given(CELLS, CELLS)
def test_a_diff_applied_to_the_cells_before_gives_the_cells_after(before, after):
    diff = _compared(_notebook(*before), _notebook(*after))

    new: dict[int, str] = {}
    gone = {cell.from_index for cell in diff.cells if cell.from_index is not None}
    for cell in diff.cells:
        assert (cell.from_index is None) == (cell.change == "added")
        assert (cell.to_index is None) == (cell.change == "removed")
        if cell.to_index is not None:
            old = before[cell.from_index]["source"] if cell.from_index is not None else ""
            new[cell.to_index] = _patched(old, cell.source)
    kept = iter([cell["source"] for n, cell in enumerate(before) if n not in gone])
    made = [new[n] if n in new else next(kept) for n in range(len(after))]
    assert made == [cell["source"] for cell in after]
    assert next(kept, None) is None
    assert len(gone) == sum(cell.from_index is not None for cell in diff.cells)
    assert _compared(_notebook(*before), _notebook(*after)) == diff


def _patched(source: str, hunks) -> str:
    old, lines, at = source.split("\n") if source else [], [], 0
    for hunk in hunks:
        lines += old[at : hunk.from_line - 1]
        at = hunk.from_line - 1
        for line in hunk.lines:
            if line.op != "+":
                assert old[at] == line.text
                at += 1
            if line.op != "-":
                lines.append(line.text)
    return "\n".join(lines + old[at:])


@pytest.mark.parametrize("kind", ["many alike", "long alike", "many lines", "shuffled", "equal ids", "one long line"])
def test_a_comparison_that_is_made_to_be_slow_is_not(kind):
    dice = random.Random(1)

    def text(length, letters="ab"):
        return "".join(dice.choices(letters, k=length))

    def side():
        if kind == "many alike":
            return [{"cell_type": "code", "source": text(200)} for _ in range(500)]
        if kind == "long alike":
            return [{"cell_type": "code", "source": " ".join(text(9) for _ in range(5000))} for _ in range(100)]
        if kind == "many lines":
            return [_cell(f"c{n}", "\n".join(text(1) for _ in range(199))) for n in range(200)]
        if kind == "shuffled":
            return [_cell(f"c{n}", "x") for n in dice.sample(range(20_000), 20_000)]
        if kind == "equal ids":
            return [_cell("same", text(20)) for _ in range(2000)]
        return [_cell("a", text(5_000_000))]

    before, after = side(), side()
    started = time.thread_time()

    diff = _compared(_notebook(*before), _notebook(*after))

    assert diff.cells
    assert time.thread_time() - started < 20, "seconds of CPU; about three where nobody else computes"
