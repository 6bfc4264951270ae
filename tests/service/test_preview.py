"""Previews, through HTTP; what hostile notebooks do in a browser is in `tests/security/test_previews.py`."""

import asyncio
import contextlib
import json
import os
import re
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from inset.db import open_database
from inset.documents import document_from_jupyter
from inset.models import Notebook
from inset.versions import store
from tests.service.conftest import document, problem, running_service

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def notebook(*cells: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": list(cells)}


def markdown(source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source, **more}


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "execution_count": 3, "source": source, "outputs": list(outputs)}


def shown(data: dict[str, Any]) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": data}


def printed(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


@pytest.fixture
def preview(client, new_notebook):
    async def show(content: dict[str, Any]) -> str:
        made = await new_notebook(content=content)
        answer = await client.get(f"/v1/notebooks/{made['id']}/preview")
        assert answer.status_code == 200, answer.text
        return str(answer.text.partition("<body>")[2])

    return show


@pytest.fixture
def saved_by_jupyter(client, new_notebook, settings):
    """Store what only Jupyter's own save can: content that no upload may have. Gives the preview's address."""

    async def save(content: bytes) -> str:
        made = await new_notebook()
        async with open_database(settings.database_url) as database, database.transaction() as db:
            row = await db.get(Notebook, made["id"])
            assert row is not None
            await store(db, row, document_from_jupyter(content), base=1, origin="autosave", author="ada")
        return f"/v1/notebooks/{made['id']}/preview"

    return save


async def test_a_preview_looks_like_the_notebook(preview):
    page = await preview(
        notebook(
            markdown("# Title\n\nSome *words* and $x_1 * y_1$ and $z_1$\n\n| a | b |\n|:-:|--:|\n| 1 | 2 |"),
            code("print(1)", printed("one\n"), printed("two\n"), printed("uh\n", "stderr")),
            {"cell_type": "raw", "metadata": {}, "source": "<raw>"},
            language_info={"name": "python", "pygments_lexer": "ipython3"},
        )
    )

    assert "<h1>Title</h1>" in page
    assert "<em>words</em> and $x_1 * y_1$ and $z_1$" in page
    assert '<td align="center">1</td>' in page
    assert '<span class="nb">print</span>' in page
    assert '<div class="nb-prompt">[3]:</div>' in page
    assert '<pre class="nb-text">one\ntwo\n</pre>' in page
    assert '<pre class="nb-stderr">uh\n</pre>' in page
    assert '<pre class="nb-text">&lt;raw&gt;</pre>' in page


async def test_outputs_are_shown_as_they_can_be_without_a_program(preview):
    page = await preview(
        notebook(
            code(
                "x",
                shown({"image/png": PNG, "text/plain": "<Figure>"}),
                shown({"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'></svg>", "text/plain": "<Drawing>"}),
                shown({"text/html": "<table class='dataframe'><tr><td>4.5</td></tr></table>", "text/plain": "no"}),
                shown({"text/html": "<div id='p'></div><script>plot()</script>", "text/plain": "Figure({})"}),
                shown({"text/latex": "$$x$$", "text/plain": "x"}),
                shown({"application/json": {"a": 1}, "text/plain": "<IPython.core.display.JSON object>"}),
                shown({"application/vnd.jupyter.widget-view+json": {}, "text/plain": "IntSlider(value=0)"}),
                shown({"application/vnd.mine+json": {}}),
            )
        )
    )

    assert f'<img src="data:image/png;base64,{PNG}"' in page
    assert '<img src="data:image/svg+xml;base64,' in page
    assert "<table><tbody><tr><td>4.5</td></tr></tbody></table>" in page
    assert "Figure({})" in page
    assert "plot()" not in page
    assert '<pre class="nb-text">x</pre>' in page
    assert "IntSlider(value=0)" in page
    assert "This output needs a running notebook." in page


async def test_a_terminals_colours_links_and_progress_bars_are_read(preview):
    text = (
        " 10%\r100%\r\n\x1b[31mred\x1b[0m \x1b[38;2;1;2;3mexact\x1b[0m \x1b]8;;http://e.example\x1b\\link\x1b]8;;\x1b\\"
    )

    page = await preview(notebook(code("x", printed(text))))

    assert '<pre class="nb-text">100%\n<span class="ansi-red-fg">red</span> <span>exact</span> link</pre>' in page


async def test_an_attachment_is_shown_and_an_image_from_elsewhere_is_not(preview):
    page = await preview(
        notebook(
            markdown(
                "![mine](attachment:a%20b.png) ![not there](attachment:c.png) ![theirs](https://example.org/x.png)",
                attachments={"a b.png": {"image/png": PNG}},
            )
        )
    )

    assert f'<img src="data:image/png;base64,{PNG}" alt="mine">' in page
    assert '<img alt="not there">' in page
    assert '<img alt="theirs">' in page
    assert "example.org" not in page


async def test_only_links_that_lead_to_a_site_or_a_mailbox_stay(preview):
    page = await preview(
        notebook(markdown("[a](https://a.example/x) [b](mailto:b@b.example) [c](#c) [d](d.ipynb) [e](//e.example)"))
    )

    assert re.findall(r' href="([^"]*)"', page) == ["https://a.example/x", "mailto:b@b.example"]
    assert page.count('target="_blank" rel="noopener noreferrer nofollow"') >= 2


async def test_each_version_has_its_own_preview(client, new_notebook):
    made = await new_notebook(content=notebook(markdown("the first")))
    path = f"/v1/notebooks/{made['id']}"
    await client.put(f"{path}/content", json=notebook(markdown("the second")), headers={"If-Match": '"1"'})

    pages = [(await client.get(f"{path}{which}/preview")).text for which in ("", "/versions/1", "/versions/2")]

    assert ["the first" in page for page in pages] == [False, True, False]
    assert pages[0] == pages[2]
    missing = await client.get(f"{path}/versions/3/preview")
    assert (missing.status_code, problem(missing)) == (404, "version-not-found")


async def test_a_preview_is_served_under_a_policy_that_runs_and_loads_nothing(client, host, new_notebook):
    answer = await client.get(f"/v1/notebooks/{(await new_notebook())['id']}/preview")

    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy.pop("style-src").startswith("'sha256-")
    assert policy == {
        "default-src": "'none'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": " ".join(host.origins),
        "sandbox": "allow-popups allow-popups-to-escape-sandbox",
    }
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:;' in answer.text


async def test_a_preview_that_a_browser_has_is_not_sent_again(client, new_notebook):
    path = f"/v1/notebooks/{(await new_notebook())['id']}/preview"
    first = await client.get(path)

    again = await client.get(path, headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == "private, no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


async def test_a_preview_of_somebody_elses_notebook_is_none(client, host, other_host, new_notebook):
    path = f"/v1/notebooks/{(await new_notebook())['id']}/preview"
    tag = (await client.get(path)).headers["ETag"]

    for bearer in (host.bearer("grace"), other_host.bearer("ada")):
        answer = await client.get(path, headers={**bearer, "If-None-Match": tag})
        assert (answer.status_code, problem(answer)) == (404, "notebook-not-found")


async def test_who_may_do_nothing_may_still_look(client, host, new_notebook):
    path = f"/v1/notebooks/{(await new_notebook())['id']}/preview"

    assert (await client.get(path, headers=host.bearer("ada", may=[]))).status_code == 200


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"cells": [', "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[1, 2]", "it is not a notebook"),
        (b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}', "an old format"),
        (b'{"nbformat": 5, "metadata": {}, "cells": []}', "it is not of nbformat 4"),
    ],
)
async def test_what_is_no_notebook_has_no_preview_and_says_why(client, saved_by_jupyter, content, reason):
    answer = await client.get(await saved_by_jupyter(content))

    assert (answer.status_code, problem(answer)) == (409, "not-previewable")
    assert reason in answer.json()["detail"]


async def test_what_is_not_quite_valid_is_shown_as_far_as_it_goes(client, saved_by_jupyter):
    odd = notebook(
        markdown("\ud83d half", attachments=[1]),
        {"cell_type": "code", "source": ["a = 1\n", 7, "b"], "outputs": [None, {"output_type": 3}, printed(["x", {}])]},
        {"cell_type": ["?"], "source": {"no": "text"}},
        code("y", {"output_type": "error", "traceback": "no list", "ename": 5}, shown({"image/png": "<b>"})),
        language_info=[],
        kernelspec="no",
    )  # fmt: skip
    odd["cells"] += ["no cell", None]

    answer = await client.get(await saved_by_jupyter(json.dumps(odd).encode()))

    assert answer.status_code == 200, answer.text
    assert "? half" in answer.text


async def test_a_giant_output_is_cut_and_says_so(preview):
    page = await preview(notebook(code("x", printed("y" * 150_000))))

    assert len(page) < 110_000
    assert "50,000 more characters are not shown here." in page


async def test_a_notebook_that_takes_too_long_is_given_up_and_costs_the_others_nothing(client, host, settings, hub):
    # Time enough for a quick one, whatever else runs on this machine; the slow one would take two minutes.
    hurried = settings.model_copy(update={"preview_timeout": timedelta(seconds=6)})
    slow = notebook(*[markdown("\\begin{a}" * 10_000)] * 18)
    async with running_service(hurried, hub, **host.bearer("ada")) as replica:
        paths = []
        for content in (slow, document("quick")):
            made = (await replica.post("/v1/notebooks", json={"name": "N", "content": content})).json()
            paths.append(f"/v1/notebooks/{made['id']}/preview")

        answer = await replica.get(paths[0])
        assert (answer.status_code, problem(answer)) == (409, "not-previewable")
        assert "6 seconds" in answer.json()["detail"]
        assert "quick" in (await replica.get(paths[1])).text


async def test_many_previews_at_once_are_all_given(client, new_notebook):
    made = [await new_notebook(content=document(f"number_{n}")) for n in range(8)]

    answers = await asyncio.gather(*[client.get(f"/v1/notebooks/{notebook['id']}/preview") for notebook in made])

    assert [f"number_{n}" in answer.text for n, answer in enumerate(answers)] == [True] * 8


async def test_a_page_that_is_known_is_not_made_again(client, host, new_notebook):
    content = document("known")
    paths = [f"/v1/notebooks/{(await new_notebook(content=content))['id']}/preview" for _ in range(2)]
    first = await client.get(paths[0])
    for renderer in _renderers():
        os.kill(int(renderer.name), signal.SIGSTOP)

    # Of the same content, although of another notebook; the renderer could not make it now.
    assert (await client.get(paths[1], timeout=5)).content == first.content


async def test_the_renderer_gets_nothing_of_the_services_environment(client, new_notebook, monkeypatch):
    monkeypatch.setenv("INSET_EDGE_TOKEN", "a secret")

    assert (await client.get(f"/v1/notebooks/{(await new_notebook())['id']}/preview")).status_code == 200

    environments = [(renderer / "environ").read_bytes() for renderer in _renderers()]
    assert environments
    assert not [environment for environment in environments if b"INSET_" in environment]


def _renderers() -> list[Path]:
    """The renderers' processes, where they stand in /proc."""
    mine = f"\nPPid:\t{os.getpid()}\n"
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if mine in (process / "status").read_text() and b"inset.preview" in (process / "cmdline").read_bytes():
                found.append(process)
    return found
