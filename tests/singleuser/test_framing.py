"""Every answer names exactly who may frame it, whichever handler gave it."""

import asyncio
import json
import re

import pytest
import pytest_asyncio

from tests.singleuser.conftest import HOST_ORIGIN, SEAT, Seat

pytestmark = pytest.mark.asyncio(loop_scope="session")

_PAGE_CONFIG = re.compile(r'<script id="jupyter-config-data" type="application/json">(.*?)</script>', re.DOTALL)

PAGES = [
    ("lab", 200),
    ("tree", 200),
    ("inset/enter", 200),
    ("nothing-here", 404),
    ("files/nothing-here.txt", 404),
    ("files/page.html", 200),
    ("notebooks/nothing-here.ipynb", 200),
    ("nbconvert/html/framing.ipynb", 200),
    ("nbconvert/html/nothing-here.ipynb", 404),
    ("nbconvert/none/framing.ipynb", 500),
    ("view/page.html", 200),
    ("api", 200),
    ("api/status", 200),
    ("api/contents/framing.ipynb", 200),
    ("api/contents/nothing-here", 404),
    ("api/spec.yaml", 200),
    ("lab/api/settings", 200),
    ("static/favicons/favicon.ico", 200),
    ("static/nothing-here.js", 404),
    ("static/lab/nothing-here.js", 404),
    ("lab/extensions/nothing-here.js", 404),
    ("logout", 401),
    ("", 302),
    ("lab/", 301),
    ("metrics", 200),
    ("api/events/subscribe", 400),
    ("files/broken.ipynb?download=1", 200),
    ("nbconvert/html/broken.ipynb", 400),
]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ancestors(seat: Seat) -> str:
    await seat.save("framing.ipynb", "1")
    for name, text in (("page.html", "<p>hello"), ("broken.ipynb", "{")):
        await seat.http.put(f"api/contents/{name}", json={"type": "file", "format": "text", "content": text})
    return f"frame-ancestors {HOST_ORIGIN} {seat.hub.seat_origin(SEAT)}"


@pytest.mark.parametrize("page", [page for page, _ in PAGES])
async def test_the_owner_s_pages_are_framed_by_exact_origins(seat: Seat, ancestors: str, page: str):
    answer = await seat.http.get(page)
    _check(answer.headers, ancestors)


@pytest.mark.parametrize("page", [page for page, _ in PAGES])
async def test_a_stranger_s_pages_are_framed_by_exact_origins(seat: Seat, ancestors: str, page: str):
    answer = await seat.anonymous.get(page)
    seat.anonymous.cookies.clear()
    _check(answer.headers, ancestors)


async def test_the_pages_above_are_of_every_kind(seat: Seat, ancestors: str):
    answered = {page: (await seat.http.get(page)).status_code for page, _ in PAGES}
    assert answered == dict(PAGES)


async def test_files_stay_in_their_sandbox(seat: Seat, ancestors: str):
    assert "sandbox allow-scripts" in (await seat.http.get("files/page.html")).headers["Content-Security-Policy"]


async def test_the_hub_s_own_pages_are_framed_by_nobody(seat: Seat):
    hub = seat.hub
    for page in ("/hub/login", "/hub/", "/hub/home", "/hub/nothing-here"):
        answer = await seat.anonymous.get(hub.bind_url + page, headers={"Host": hub.public_url.removeprefix("http://")})
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], page


def _check(headers: object, ancestors: str) -> None:
    policies = headers.get_list("content-security-policy")  # type: ignore[attr-defined]
    assert len(policies) == 1
    found = [directive.strip() for directive in policies[0].split(";") if "frame-ancestors" in directive]
    assert found == [ancestors]
    assert "x-frame-options" not in headers  # type: ignore[operator]


async def test_pages_follow_the_host_to_other_origins_while_the_server_runs(seat: Seat, ancestors: str):
    moved = "https://new.example"
    seat.service.move_host(seat.server_id, moved)
    try:
        await _until_framed_by(seat, f"frame-ancestors {moved} {seat.hub.seat_origin(SEAT)}")
        assert f'const origins = ["{moved}"]' in (await seat.anonymous.get("inset/enter")).text
        page = (await seat.http.get("notebooks/nothing-here.ipynb")).text
        assert json.loads(json.loads(_PAGE_CONFIG.search(page)[1])["insetOrigins"]) == [moved]

        # Of a host that is turned away nobody's page is left.
        seat.service.move_host(seat.server_id)
        await _until_framed_by(seat, f"frame-ancestors {seat.hub.seat_origin(SEAT)}")
    finally:
        seat.service.move_host(seat.server_id, HOST_ORIGIN)
        await _until_framed_by(seat, ancestors)


async def _until_framed_by(seat: Seat, ancestors: str) -> None:
    async with asyncio.timeout(30):
        while ancestors not in (await seat.anonymous.get("inset/enter")).headers["Content-Security-Policy"].split("; "):
            await asyncio.sleep(0.05)
