"""What a notebook's page is made of comes small, and once; what nobody can use does not come."""

import gzip
import json
import re
from typing import Any

import pytest

from tests.singleuser.conftest import Seat

pytestmark = pytest.mark.asyncio(loop_scope="session")

_MAIN = re.compile(r"static/notebook/(main\.[0-9a-f]+\.js)\?v=[0-9a-f]+")
_PAGE_CONFIG = re.compile(r'<script id="jupyter-config-data" type="application/json">(.*?)</script>', re.DOTALL)


async def test_scripts_come_compressed_and_are_kept_for_good(seat: Seat):
    main = _MAIN.search((await seat.http.get("notebooks/any.ipynb")).text)
    assert main

    headers = {"Accept-Encoding": "gzip"}
    async with seat.anonymous.stream("GET", main[0], headers=headers) as answer:
        sent = b"".join([part async for part in answer.aiter_raw()])
    plain = await seat.anonymous.get(main[0], headers={"Accept-Encoding": "identity"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert len(sent) < len(plain.content) / 2
    assert gzip.decompress(sent) == plain.content
    for one in (answer, plain):
        assert one.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert one.headers["Vary"] == "Accept-Encoding"
        assert one.headers["Content-Type"] == "application/javascript"


async def test_a_part_of_a_compressed_script_can_be_asked_for(seat: Seat):
    main = _MAIN.search((await seat.http.get("notebooks/any.ipynb")).text)
    assert main
    headers = {"Accept-Encoding": "gzip", "Range": "bytes=10-19"}
    async with seat.anonymous.stream("GET", main[0], headers=headers) as answer:
        sent = b"".join([part async for part in answer.aiter_raw()])
    assert (answer.status_code, len(sent)) == (206, 10)


async def test_page_extensions_are_kept_for_good_and_what_has_no_hash_is_asked_for_again(seat: Seat):
    [bridge] = [one for one in (await _page(seat))["federated_extensions"] if one["name"] == "inset-bridge"]

    script = await seat.http.get(f"lab/extensions/inset-bridge/{bridge['load']}")
    described = await seat.http.get("lab/extensions/inset-bridge/package.json")
    theme = await seat.http.get("lab/api/themes/@jupyterlab/theme-light-extension/index.css")

    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for one in (described, theme):
        assert (one.status_code, one.headers["Cache-Control"]) == (200, "no-cache")


async def test_what_nobody_can_use_in_a_frame_is_not_fetched(seat: Seat):
    page = await _page(seat)

    names = {one["name"] for one in page["federated_extensions"]}
    assert "inset-bridge" in names
    assert not names & {"@jupyter-notebook/lab-extension", "nbdime-jupyterlab"}
    assert {"@jupyterlab/lsp-extension", "@jupyterlab/apputils-extension:announcements"} <= set(
        page["disabledExtensions"]
    )
    assert "custom.css" not in (await seat.http.get("notebooks/any.ipynb")).text


async def test_the_list_of_export_formats_is_there_all_the_same(seat: Seat):
    assert {"html", "script"} <= set((await seat.http.get("api/nbconvert")).json())


async def _page(seat: Seat) -> dict[str, Any]:
    found = _PAGE_CONFIG.search((await seat.http.get("notebooks/any.ipynb")).text)
    assert found
    page: dict[str, Any] = json.loads(found[1])
    return page
