"""The way in, in a real Chromium: on another site's page, with the cookies that a browser allows there."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Frame, Page, expect
from playwright.async_api import Route as Routed
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from tests.fakes.fake_service import FakeService
from tests.singleuser.conftest import Seat, started
from tests.support.chromium import NO_COOKIES, NO_THIRD_PARTY_COOKIES, chromium, fresh_page
from tests.support.notebook_page import run_in_last_cell, until_connected
from tests.support.real_hub import RealHub, free_ports
from tests.support.serving import served

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.browser]

SEAT = "seat-004"


def _host(request: Request) -> HTMLResponse:
    """A page that frames what its address says, and keeps what it is told."""
    return HTMLResponse("""<!doctype html><title>Host</title><script>
        window.told = [];
        addEventListener('message', (event) => told.push({ origin: event.origin, ...event.data }));
        addEventListener('load', () => { document.querySelector('iframe').src = location.hash.slice(1); });
        </script><iframe style="width: 1000px; height: 700px"></iframe>""")


class Framed:
    """A seat whose server may be framed by the page at `origin`."""

    def __init__(self, seat: Seat, origin: str) -> None:
        self.seat, self.origin = seat, origin

    def enter_url(self, ticket: str) -> str:
        return f"{self.seat.hub.seat_origin(SEAT)}/user/{SEAT}/inset/enter#ticket={ticket}"

    def ticket(self, notebook_id: str, path: str, **changes: Any) -> str:
        return self.seat.ticket(notebook_id, path, next=f"/user/{SEAT}/notebooks/{path}", **changes)

    async def open(self, page: Page, url: str) -> None:
        await page.goto(f"{self.origin}/#{url}")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def framed(hub: RealHub, service: FakeService) -> AsyncIterator[Framed]:
    [port] = free_ports(1)
    origin = f"http://host.localhost:{port}"
    async with (
        served(Starlette(routes=[Route("/", _host)]), port),
        started(hub, service, SEAT, origins=[origin]) as seat,
    ):
        yield Framed(seat, origin)


async def shown(page: Page) -> Frame:
    """Wait until the notebook is shown; gives its frame."""
    await page.frame_locator("iframe").locator(".jp-Cell").first.wait_for(timeout=30_000)
    return next(frame for frame in page.frames if "/notebooks/" in frame.url)


@pytest.mark.parametrize("preferences", [NO_THIRD_PARTY_COOKIES, NO_COOKIES], ids=["no third-party", "none at all"])
async def test_a_notebook_runs_and_saves_whatever_cookies_are_allowed(
    framed: Framed, tmp_path: Path, preferences: dict[str, Any]
):
    notebook_id, path = await framed.seat.load("")
    async with chromium(tmp_path / "profile", preferences) as browser:
        page = browser.pages[0]
        await framed.open(page, framed.enter_url(framed.ticket(notebook_id, path)))
        frame = page.frame_locator("iframe")
        await run_in_last_cell(frame, "print(6 * 7)")
        await expect(frame.locator(".jp-OutputArea-output").first).to_have_text(re.compile("42"), timeout=30_000)
        await page.keyboard.press("Control+s")
        stored = framed.seat.service.notebooks[notebook_id]
        await framed.seat.service.until(lambda: b"42" in stored.newest.content)

        addresses = [one.url for one in page.frames[1:]]
        cookies = await page.context.cookies()
    assert not [address for address in addresses if "ticket" in address or framed.seat.token in address]
    assert {cookie["name"] for cookie in cookies} == (
        {"__Host-inset", "_xsrf"} if preferences is NO_THIRD_PARTY_COOKIES else set()
    )
    assert not [cookie for cookie in cookies if framed.seat.token in cookie["value"]]


async def test_the_page_takes_the_kernel_that_starts_beside_it_and_no_other(framed: Framed, chromium_for_all: Browser):
    async def kernels() -> set[str]:
        return {kernel["id"] for kernel in (await framed.seat.http.get("api/kernels")).json()}

    notebook_id, path = await framed.seat.load("1")
    before = await kernels()
    async with fresh_page(chromium_for_all) as page:
        asked: list[tuple[str, str]] = []
        page.on("request", lambda request: asked.append((request.method, urlsplit(request.url).path)))
        await framed.open(page, framed.enter_url(framed.ticket(notebook_id, path)))
        await until_connected(await shown(page))
        assert len(await kernels() - before) == 1
    assert {method for method, path in asked if path.endswith("/api/sessions")} == {"GET"}


async def test_the_page_is_asked_for_before_the_probe_is_answered(framed: Framed, chromium_for_all: Browser):
    notebook_id, path = await framed.seat.load("1")
    async with fresh_page(chromium_for_all) as page:
        asked = asyncio.Event()
        page.on("request", lambda request: asked.set() if "/notebooks/" in request.url else None)

        async def hold(probe: Routed) -> None:
            await asyncio.wait_for(asked.wait(), 30)
            await probe.continue_()

        await page.route("**/inset/probe?*", hold)
        await framed.open(page, framed.enter_url(framed.ticket(notebook_id, path)))
        frame = await shown(page)
        # What the probe tells the server is in the page all the same.
        assert await frame.evaluate("document.body.dataset.insetMode") == "partitioned"


async def test_a_frame_waits_for_another_that_is_let_in_late(framed: Framed, chromium_for_all: Browser):
    first, second = [framed.enter_url(framed.ticket(*await framed.seat.load("1"))) for _ in range(2)]
    async with fresh_page(chromium_for_all) as page:
        steps: list[str] = []

        async def late(entering: Routed) -> None:
            if entering.request.method == "POST":
                steps.append("asks")
                # As where the service waits for its hub.
                await asyncio.sleep(7 if len(steps) == 1 else 0)
                steps.append("is answered")
            await entering.continue_()

        await page.route("**/inset/enter", late)
        await framed.open(page, first)
        await page.evaluate(
            "url => document.body.append(Object.assign(document.createElement('iframe'), { src: url }))", second
        )
        for frame in ("iframe >> nth=0", "iframe >> nth=1"):
            await page.frame_locator(frame).locator(".jp-Cell").first.wait_for(timeout=60_000)
    assert steps == ["asks", "is answered"] * 2


async def test_a_browser_that_keeps_no_cookie_asks_for_nothing_that_it_would_be_refused(framed: Framed, tmp_path: Path):
    notebook_id, path = await framed.seat.load("1")
    async with chromium(tmp_path / "profile", NO_COOKIES) as browser:
        page, refused = browser.pages[0], list[str]()
        page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
        await framed.open(page, framed.enter_url(framed.ticket(notebook_id, path)))
        await shown(page)
    assert [url for url in refused if re.search("/(api|notebooks)/", url)] == []
    assert any("/inset/probe?" in url for url in refused)


@pytest.mark.parametrize("reason", ["ticket-expired", "ticket-for-another-server", "session-over"])
async def test_the_host_is_told_why_the_frame_stays_closed(framed: Framed, reason: str, chromium_for_all: Browser):
    notebook_id, path = await framed.seat.load("1")
    ticket = framed.ticket(notebook_id, path, problem=reason)
    async with fresh_page(chromium_for_all) as page:
        await framed.open(page, framed.enter_url(ticket))
        await page.wait_for_function("told.length")
        told = await page.evaluate("told")
        await expect(page.frame_locator("iframe").locator("h1")).to_contain_text(re.compile("address|over"))
    assert told == [
        {
            "origin": framed.seat.hub.seat_origin(SEAT),
            "protocol": "notebook-embed/1",
            "type": "entry-failed",
            "reason": reason,
        }
    ]


async def test_a_page_without_a_ticket_tells_the_host_that_the_session_is_over(
    framed: Framed, chromium_for_all: Browser
):
    _, path = await framed.seat.load("1")
    async with fresh_page(chromium_for_all) as page:
        await framed.open(page, f"{framed.seat.hub.seat_origin(SEAT)}/user/{SEAT}/notebooks/{path}")
        await page.wait_for_function("told.length")
        assert (await page.evaluate("told"))[0]["reason"] == "session-over"


async def test_reloading_the_frame_keeps_the_session_where_cookies_are_kept(framed: Framed, chromium_for_all: Browser):
    notebook_id, path = await framed.seat.load("1")
    async with fresh_page(chromium_for_all) as page:
        await framed.open(page, framed.enter_url(framed.ticket(notebook_id, path)))
        frame = await shown(page)
        await frame.evaluate("location.reload()")
        await shown(page)


async def test_reloading_without_cookies_asks_the_host_for_a_new_address(framed: Framed, tmp_path: Path):
    notebook_id, path = await framed.seat.load("1")
    async with chromium(tmp_path / "profile", NO_COOKIES) as browser:
        page = browser.pages[0]
        await framed.open(page, framed.enter_url(framed.ticket(notebook_id, path)))
        frame = await shown(page)
        await frame.evaluate("location.reload()")
        await page.wait_for_function("told.some((one) => one.type === 'entry-failed')")
        told = await page.evaluate("told.filter((one) => one.type === 'entry-failed')")
    assert told[0]["reason"] == "ticket-used"


async def test_another_site_s_page_can_not_frame_the_notebook(framed: Framed, chromium_for_all: Browser):
    notebook_id, path = await framed.seat.load("1")
    stranger = framed.origin.replace("host.localhost", "stranger.localhost")
    async with fresh_page(chromium_for_all) as page:
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        await page.goto(f"{stranger}/#{framed.enter_url(framed.ticket(notebook_id, path))}")
        async with page.expect_event("console", lambda message: "frame-ancestors" in message.text):
            await page.reload()
        assert await page.evaluate("told") == []
