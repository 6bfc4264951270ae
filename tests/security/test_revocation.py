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
window.answer = async () => {
  const base = location.pathname.replace(/notebooks.*/, '');
  const headers = { 'X-XSRFToken': /_xsrf=([^;]+)/.exec(document.cookie)[1] };
  return (await fetch(`${base}api/status`, { headers })).status;
};
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    const socket = { end: new URL(this.url).pathname.split('/').pop(), state: 'connecting' };
    window.sockets.push(socket);
    this.addEventListener('open', () => { socket.state = 'open'; });
    this.addEventListener('close', async ({ code }) => {
      if (socket.state === 'open') socket.cut = Date.now() / 1000;
      socket.state = code;
      if (socket.cut) socket.answer = await answer();
    });
  }
};
"""
"""Notes in the page itself when a websocket was cut, and what is answered from then on: a test may look much later."""

_LIVE = "['channels', 'subscribe'].every((end) => sockets.some((s) => s.end === end && s.state === 'open'))"
_ALL_CUT = "sockets.every(({ state, cut, answer }) => state !== 'open' && (!cut || answer))"
_STATE = "async () => ({ status: await answer(), sockets })"


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
    try:
        async with asyncio.timeout(within):
            while not await page.evaluate(expression):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{expression}: not with {await page.evaluate('sockets')}") from None


async def _cut(page: Page, *, since: float) -> float:
    """Wait until a page has no websocket any more, and no answer since; gives the time of that."""
    await _until(page, _ALL_CUT, within=90)
    cut = [socket for socket in await page.evaluate("sockets") if socket.get("cut", 0) > since]
    assert {socket["answer"] for socket in cut} == {403}
    return max(float(socket["cut"]) for socket in cut)


async def _end_session(site: Site, user: str, notebook_id: str) -> float:
    """Ask the service to end a notebook's session; gives when."""
    async with site.client(user) as service:
        [session] = [
            one
            for one in (await service.get("/v1/sessions", params={"state": "live"})).json()["items"]
            if one["notebook_id"] == notebook_id
        ]
        asked = time.time()
        assert (await service.delete(f"/v1/sessions/{session['id']}")).status_code == 202
        return asked


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

    begun = await _end_session(site, "ada", notebook_id)
    took = await _cut(page, since=begun) - begun

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

    begun = await _end_session(site, "ada", notebook_id)

    cut = "sockets.find((s) => s.end === 'channels' && s.state === 4401)?.cut"
    await _until(page, cut, within=60)
    assert await page.evaluate(cut) - begun < PROMISED_SECONDS
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
    watching = asyncio.create_task(_last_seen(site, seat=urlsplit(page.url).path.split("/")[2]))

    try:
        async with open_database(f"sqlite+aiosqlite:///{site.stack.folder}/inset.db") as database:
            begun = time.time()
            await remove_host(database, site.host.id)  # what the command does once it has loaded
        cut = await _cut(page, since=begun)
        took = cut - begun
        await hosts.wait_for_function("notebook.told.some(({ event }) => event === 'ended')")
        record_property("seconds", took)
        print(f"cut after {took:.2f} s")
        assert took < PROMISED_SECONDS
        assert await watching > cut
        assert await hosts.evaluate("notebook.told.at(-1)") == {"event": "ended", "reason": "revoked"}
        assert await hosts.locator("iframe").count() == 0
    finally:
        watching.cancel()
        site.stack.inset("hosts", "apply", str(site.stack.folder / "site.toml"))


async def _last_seen(site: Site, *, seat: str) -> float:
    """Ask the hub for a seat's server until it has none; gives when it was last asked and still had it."""
    hub_token = json.loads((site.stack.folder / "secrets.json").read_text())["hub_token"]
    url = f"http://127.0.0.1:{site.stack.ports.hub_api}/hub/api/users/{seat}"
    seen = 0.0
    async with httpx.AsyncClient(headers={"Authorization": f"token {hub_token}"}, timeout=60) as hub:
        while True:
            asked = time.time()
            if not (await hub.get(url)).raise_for_status().json()["servers"]:
                return seen
            seen = asked
            await asyncio.sleep(0.1)
