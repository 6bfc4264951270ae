"""Notebook's own files come from one origin for all servers, before a server runs; without it they come as ever."""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request, async_playwright, expect
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import HTMLResponse
from starlette.routing import Route
from tornado.httpserver import HTTPServer

from inset_bridge import assets
from tests.fakes.fake_service import FakeService
from tests.singleuser.conftest import SEAT, Seat
from tests.support.chromium import ARGS, CHROMIUM
from tests.support.notebook_page import run_in_last_cell
from tests.support.real_hub import RealHub, free_ports, real_hub
from tests.support.serving import served

pytestmark = [pytest.mark.asyncio(loop_scope="session")]


@dataclass
class Installation:
    """A hub whose servers are told of the common origin, and a host's page."""

    hub: RealHub
    service: FakeService
    server: HTTPServer
    """Of the common origin."""
    served: list[str]
    """What it was asked for, and browsers did not have."""
    assets_url: str
    host_page: str
    seat: Seat | None = None

    async def start_seat(self) -> Seat:
        if self.seat is None:
            server_id = await self.hub.start_server(SEAT, origins=[self.host_page])
            token = await self.hub.mint_token(SEAT)
            http, anonymous = self.hub.seat(SEAT, token=token), self.hub.seat(SEAT)
            self.seat = Seat(self.hub, self.service, token, http, anonymous, server_id)
        return self.seat

    async def open_notebook(self, page: Page, seat: Seat) -> None:
        """Open one in the page's frame, as the SDK does, and wait until it can be used."""
        ticket = seat.ticket(*await seat.load(""))
        url = f"{self.hub.seat_origin(SEAT)}/user/{SEAT}/inset/enter#ticket={ticket}"
        await page.evaluate("url => { document.querySelector('#notebook').src = url }", url)
        await run_in_last_cell(page.frame_locator("#notebook"), "print(6 * 7)")
        output = page.frame_locator("#notebook").locator(".jp-OutputArea-output").first
        await expect(output).to_have_text(re.compile("42"), timeout=60_000)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def installation(
    tmp_path_factory: pytest.TempPathFactory, service: FakeService, service_url: str
) -> AsyncIterator[Installation]:
    host_port, assets_port = free_ports(2)
    assets_url = f"http://assets.nb.localhost:{assets_port}"
    files, given = assets.application(), list[str]()
    files.settings["log_function"] = lambda handler: given.append(handler.request.path)
    server = files.listen(assets_port, "127.0.0.1")
    settings = {"INSET_SERVICE_URL": service_url, "INSET_ASSETS_URL": assets_url}
    host = Starlette(routes=[Route("/", _host_page)])
    async with served(host, host_port), real_hub(tmp_path_factory.mktemp("assets"), settings) as hub:
        made = Installation(hub, service, server, given, assets_url, f"http://host.localhost:{host_port}")
        yield made
        if made.seat:
            await made.seat.http.aclose()
            await made.seat.anonymous.aclose()
            await hub.stop_server(SEAT)
    server.stop()
    await server.close_all_connections()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(args=ARGS, executable_path=CHROMIUM)
        yield browser
        await browser.close()


async def test_files_are_anybodys_for_good_and_bring_no_cookie(installation: Installation):
    port = urlsplit(installation.assets_url).port
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"Cookie": "a=b"}) as http:
        page = await http.get("/warm-up")
        [main] = re.findall(r'src="(/[0-9a-f]{16}/main\.[^"]+)"', page.text)
        script = await http.get(main)
        of_another_version = await http.get(re.sub(r"^/[0-9a-f]{16}", "/" + "0" * 16, main))
        outside = await http.get(f"/{assets.version()}/%2e%2e/app.py")

    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert script.headers["Content-Encoding"] == "gzip"
    for answer in (page, script):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Set-Cookie" not in answer.headers
    assert "default-src 'none'; script-src 'self' 'unsafe-eval'" in page.text
    assert (of_another_version.status_code, outside.status_code // 100) == (404, 4)


async def test_what_is_written_for_a_web_server_is_kept_beside_the_versions_before(tmp_path: Path):
    for number, old in enumerate(("a", "b", "c")):
        (tmp_path / old).mkdir()
        os.utime(tmp_path / old, (number, number))

    for _ in range(2):
        assets.write(tmp_path)

    kept = sorted(one.name for one in tmp_path.iterdir())
    assert kept == sorted(["b", "c", assets.version(), "warm-up.html", "warm-up.js"])
    [main] = re.findall(r'src="/([0-9a-f]{16}/main\.[^?]+)', (tmp_path / "warm-up.html").read_text())
    assert (tmp_path / main).is_file()
    assert (tmp_path / assets.version()).stat().st_mode & 0o777 == 0o755


@pytest.mark.browser
async def test_what_a_page_is_made_of_is_there_before_its_server(installation: Installation, browser: Browser):
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(installation.host_page)
    await page.evaluate(
        """url => new Promise((resolve) => {
            const frame = Object.assign(document.createElement('iframe'), { hidden: true, src: url, onload: resolve });
            document.body.append(frame);
        })""",
        f"{installation.assets_url}/warm-up",
    )
    ahead = set(installation.served)
    installation.served.clear()
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))

    await installation.open_notebook(page, await installation.start_seat())

    assert len(ahead) > 30
    assert len(_scripts(asked, installation.assets_url)) > 30
    assert not ahead & set(installation.served)
    assert not _scripts(asked, f"{installation.hub.seat_origin(SEAT)}/user/{SEAT}/static/notebook/")
    await context.close()


@pytest.mark.browser
async def test_where_the_common_origin_has_other_files_or_is_away_a_page_has_its_own(
    installation: Installation, browser: Browser
):
    seat = await installation.start_seat()
    installation.server.stop()
    await installation.server.close_all_connections()
    context = await browser.new_context()
    page = await context.new_page()
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    await page.goto(installation.host_page)

    await installation.open_notebook(page, seat)

    assert len(_scripts(asked, f"{installation.hub.seat_origin(SEAT)}/user/{SEAT}/static/notebook/")) > 30
    await context.close()


def _scripts(asked: list[Request], below: str) -> set[str]:
    return {one.url for one in asked if one.url.startswith(below) and ".js" in one.url}


async def _host_page(request: Asked) -> HTMLResponse:
    return HTMLResponse(
        "<!doctype html><title>Host</title><iframe id=notebook style='width: 1000px; height: 700px'></iframe>"
    )
