"""What is taken back goes at once: websockets, requests, and the way in, while the server runs on."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from inset.db import open_database
from inset.hosts import remove_host
from tests.security.conftest import NewNotebook, embed, host_page, iframe_url
from tests.support.chromium import fresh_context
from tests.support.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="session")]

PROMISED_SECONDS = 5

_RECORD_SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    const socket = { end: new URL(this.url).pathname.split('/').pop(), state: 'connecting' };
    window.sockets.push(socket);
    this.addEventListener('open', () => { socket.state = 'open'; });
    this.addEventListener('close', ({ code }) => { socket.state = code; });
  }
};
"""
_LIVE = "['channels', 'subscribe'].every((end) => sockets.some((s) => s.end === end && s.state === 'open'))"
_STATE = """async () => {
  const base = location.pathname.replace(/notebooks.*/, '');
  const headers = { 'X-XSRFToken': /_xsrf=([^;]+)/.exec(document.cookie)[1] };
  const { status } = await fetch(`${base}api/status`, { headers });
  return { status, sockets: window.sockets };
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere(chromium_for_all: Browser) -> AsyncIterator[BrowserContext]:
    """Another browser."""
    async with fresh_context(chromium_for_all) as context:
        yield context


async def _opened(browser: BrowserContext, site: Site, user: str, notebook_id: str) -> Page:
    """A notebook with its websockets, in a tab of its own: no host's page is there to take it away."""
    page = await browser.new_page()
    await page.add_init_script(_RECORD_SOCKETS)
    await page.goto(await iframe_url(site, user, notebook_id))
    await page.locator(".jp-Notebook").wait_for(timeout=90_000)
    await _until(page, _LIVE, within=60)
    assert (await page.evaluate(_STATE))["status"] == 200
    return page


async def _until(page: Page, expression: str, *, within: float) -> None:
    """Wait for something in a page whose policy lets it not watch for it by itself."""
    async with asyncio.timeout(within):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.1)


async def _cut(page: Page) -> float:
    """Wait until a page has no websocket and no answer any more; gives the time."""
    async with asyncio.timeout(90):
        while True:
            state = await page.evaluate(_STATE)
            if state["status"] == 403 and not any(socket["state"] == "open" for socket in state["sockets"]):
                return time.time()
            await asyncio.sleep(0.1)


async def _end_session(site: Site, user: str, notebook_id: str) -> None:
    async with site.client(user) as service:
        [session] = [
            one
            for one in (await service.get("/v1/sessions", params={"state": "live"})).json()["items"]
            if one["notebook_id"] == notebook_id
        ]
        assert (await service.delete(f"/v1/sessions/{session['id']}")).status_code == 202


@pytest.mark.parametrize("page_answers", [True, False], ids=["answers", "silent"])
async def test_closing_a_session_cuts_its_page_within_5_s_and_no_other(
    browser: BrowserContext,
    elsewhere: BrowserContext,
    site: Site,
    new_notebook: NewNotebook,
    record_property: Callable[[str, Any], None],
    page_answers: bool,
):
    notebook_id = await new_notebook("ada")
    page = await _opened(browser, site, "ada", notebook_id)
    other = await _opened(elsewhere, site, "ada", await new_notebook("ada"))
    if not page_answers:
        # As a page that hangs: what it would tell the bridge never leaves it.
        await page.route("**/inset/api/**", lambda route: None)

    begun = time.time()
    await _end_session(site, "ada", notebook_id)
    took = await _cut(page) - begun

    record_property("seconds", took)
    print(f"cut after {took:.2f} s")
    assert took < PROMISED_SECONDS
    assert 4401 in [socket["state"] for socket in (await page.evaluate(_STATE))["sockets"]]
    undisturbed = await other.evaluate(_STATE)
    assert undisturbed["status"] == 200
    assert all(socket["state"] == "open" for socket in undisturbed["sockets"])
    await page.reload()
    await page.get_by_role("heading", name="This session is over").wait_for()


async def test_of_two_sessions_in_one_browser_only_the_one_that_is_over_goes(
    browser: BrowserContext, site: Site, new_notebook: NewNotebook
):
    notebook_id = await new_notebook("ada")
    page = await _opened(browser, site, "ada", notebook_id)
    other = await _opened(browser, site, "ada", await new_notebook("ada"))

    await _end_session(site, "ada", notebook_id)

    await _until(page, "sockets.some((s) => s.end === 'channels' && s.state === 4401)", within=PROMISED_SECONDS)
    undisturbed = await other.evaluate(_STATE)
    assert undisturbed["status"] == 200
    assert all(socket["state"] == "open" for socket in undisturbed["sockets"])


async def test_turning_a_host_away_cuts_its_pages_within_5_s_while_its_servers_still_run(
    browser: BrowserContext,
    site: Site,
    new_notebook: NewNotebook,
    record_property: Callable[[str, Any], None],
):
    page = await _opened(browser, site, "ada", await new_notebook("ada"))
    hosts = await host_page(browser, site)
    await embed(hosts, "ada", await new_notebook("ada"))
    seat = urlsplit(page.url).path.split("/")[2]

    try:
        async with open_database(f"sqlite+aiosqlite:///{site.stack.folder}/inset.db") as database:
            begun = time.time()
            await remove_host(database, site.host.id)  # what the command does once it has loaded
        took = await _cut(page) - begun
        running = await _runs(site, seat)
        await hosts.wait_for_function("notebook.told.some(({ event }) => event === 'ended')")
        record_property("seconds", took)
        print(f"cut after {took:.2f} s")
        assert took < PROMISED_SECONDS
        assert running
        assert await hosts.evaluate("notebook.told.at(-1)") == {"event": "ended", "reason": "revoked"}
        assert await hosts.locator("iframe").count() == 0
    finally:
        site.stack.inset("hosts", "apply", str(site.stack.folder / "site.toml"))


async def _runs(site: Site, seat: str) -> bool:
    """Whether the hub still has a server there."""
    hub_token = json.loads((site.stack.folder / "secrets.json").read_text())["hub_token"]
    async with httpx.AsyncClient(headers={"Authorization": f"token {hub_token}"}) as hub:
        url = f"http://127.0.0.1:{site.stack.ports.hub_api}/hub/api/users/{seat}"
        return bool((await hub.get(url)).raise_for_status().json()["servers"])
