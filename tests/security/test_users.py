"""One browser, several users: none reaches another's notebook, and nothing of one is left for the next."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Frame, Page

from tests.security.conftest import embed, get, host_page, new_notebook_on
from tests.support.chromium import ALL_COOKIES, chromium
from tests.support.notebook_page import run_in_last_cell
from tests.support.site import Site
from tests.support.whole import new_stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="session")]

ROUNDS = int(os.environ.get("INSET_FRAME_ROUNDS", "6"))

ATTACK = """async ([victim, kernel]) => {
  const outcome = {};
  const attempt = async (name, work) => {
    try {
      outcome[name] = await work() ? 'done' : 'refused';
    } catch {
      outcome[name] = 'blocked';
    }
  };
  const nested = (url) => new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.src = url;
    frame.onload = () => { resolve(frame); };
    document.body.append(frame);
  });
  const opens = (url) => new Promise((resolve) => {
    const socket = new WebSocket(url.replace('http', 'ws'));
    socket.onopen = () => { resolve(true); };
    socket.onerror = () => { resolve(false); };
  });
  let key = '';
  await attempt('nest page', async () => {
    const inside = (await nested(`${victim}tree`)).contentDocument;
    key = /_xsrf=([^;]+)/.exec(inside.cookie)?.[1];
    return inside.querySelector('#jupyter-config-data');
  });
  const asPage = () => ({ credentials: 'include', headers: key ? { 'X-XSRFToken': key } : {} });
  await attempt('read page', async () =>
    (await (await fetch(`${victim}tree`, asPage())).text()).includes('jupyter-config-data'));
  await attempt('read files', async () => (await fetch(`${victim}api/contents`, asPage())).ok);
  await attempt('read frame', () => top.frames[1].document.querySelector('.jp-Cell'));
  await attempt('open kernel socket', () => opens(`${victim}api/kernels/${kernel}/channels`));
  await attempt('open event socket', () => opens(`${victim}api/events/subscribe`));
  await attempt('read storage', () => localStorage.getItem('secret'));
  const body = JSON.stringify({ type: 'file', format: 'text', content: 'x' });
  const unasked = { method: 'POST', mode: 'no-cors', credentials: 'include', body };
  await fetch(`${victim}api/contents/made-by-grace.txt`, unasked).catch(() => undefined);
  return outcome;
}"""


async def _attack(page: Page, site: Site, new_notebook: Any) -> dict[str, str]:
    """Let grace's frame attack ada's, which stands beside it on one page and came after it."""
    attacker = await embed(page, "grace", await new_notebook("grace"))
    victim = await embed(page, "ada", await new_notebook("ada"))
    await victim.evaluate("localStorage.setItem('secret', 'of ada')")
    base = victim.url.partition("notebooks/")[0]
    kernel = (await get(victim, "api/kernels"))[0]["id"]
    outcome: dict[str, str] = await attacker.evaluate(ATTACK, [base, kernel])
    # Whatever was tried: ada's notebook goes on.
    await page.evaluate("notebook.save()")
    return outcome


async def test_a_users_frame_reaches_nothing_of_another_users_in_the_same_browser(page: Page, site: Site, new_notebook):
    outcome = await _attack(page, site, new_notebook)

    assert outcome == {
        "read files": "blocked",
        "read page": "blocked",
        "nest page": "blocked",
        "read frame": "blocked",
        "open kernel socket": "refused",
        "open event socket": "refused",
        "read storage": "refused",
    }
    assert not list((site.stack.folder / "hub" / "seats").glob("*/**/made-by-grace.txt"))


@asynccontextmanager
async def site_of_its_own(folder: Path, **settings: str) -> AsyncIterator[Site]:
    folder.mkdir()
    stack = new_stack(folder, **settings)
    stack.start()
    try:
        site = Site.registered(stack)
        async with site.served():
            yield site
    finally:
        stack.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def shared(tmp_path: Path) -> AsyncIterator[Site]:
    """A site on a stack whose seats share one origin."""
    async with site_of_its_own(tmp_path / "shared", INSET_ISOLATION="off", INSET_ALLOW_SHARED_ORIGIN="1") as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def one_seat(tmp_path: Path) -> AsyncIterator[Site]:
    """A site on a stack with one seat, which every user gets in turn."""
    async with site_of_its_own(tmp_path / "one-seat", INSET_SEATS="1", INSET_HUB__SEATS="1") as site:
        yield site


async def test_where_isolation_is_off_the_same_attack_succeeds(shared: Site, browser: BrowserContext):
    """Else the test above would show nothing."""
    outcome = await _attack(await host_page(browser, shared), shared, new_notebook_on(shared))

    assert set(outcome.values()) == {"done"}, outcome


async def test_two_users_in_two_tabs_do_not_disturb_each_other(browser: BrowserContext, site: Site, new_notebook):
    tabs = {user: await host_page(browser, site) for user in ("ada", "grace")}
    notebooks = {user: await new_notebook(user) for user in tabs}
    frames: dict[str, Frame] = {}
    for user, tab in tabs.items():
        await tab.bring_to_front()
        frames[user] = await embed(tab, user, notebooks[user])
        await run_in_last_cell(frames[user], f"print('made by', '{user}')")
    for user, tab in tabs.items():
        await tab.bring_to_front()
        await frames[user].get_by_text(f"made by {user}", exact=True).wait_for()
        saved = await tab.evaluate("notebook.save()")
        async with site.client(user) as service:
            stored = await service.get(f"/v1/notebooks/{notebooks[user]}/versions/{saved['version']}/content")
        assert f"made by {user}" in stored.text


async def test_the_next_user_of_a_seat_finds_nothing_of_the_last_one(browser: BrowserContext, one_seat: Site):
    new_notebook = new_notebook_on(one_seat)
    first = await host_page(browser, one_seat)
    frame = await embed(first, "ada", await new_notebook("ada", "print('of ada')"))
    origin = frame.url.partition("/user/")[0]
    await frame.evaluate("""async () => {
        localStorage.setItem('secret', 'of ada');
        await caches.open('of ada');
        await new Promise((resolve) => { indexedDB.open('of ada').onsuccess = resolve; });
    }""")
    left = {cookie["value"] for cookie in await browser.cookies() if cookie["name"] == "__Host-inset"}
    await first.evaluate("notebook.close()")
    await first.close()

    second = await host_page(browser, one_seat)
    frame = await embed(second, "grace", await new_notebook("grace", "print('of grace')"))

    assert frame.url.startswith(origin)
    assert "of grace" in await frame.locator(".cm-content").first.text_content()
    assert await frame.evaluate("localStorage.getItem('secret')") is None
    assert await frame.evaluate("caches.keys()") == []
    assert "of ada" not in [base["name"] for base in await frame.evaluate("indexedDB.databases()")]
    cookies = {cookie["value"] for cookie in await browser.cookies() if cookie["name"] == "__Host-inset"}
    assert len(left) == len(cookies) == 1
    assert left.isdisjoint(cookies)


async def test_a_notebook_can_leave_no_service_worker_behind(site: Site, new_notebook, tmp_path: Path):
    """One would answer in the place of the next user's server, entry page included."""
    register = """async () => {
        const base = location.pathname.replace(/notebooks.*/, '');
        const xsrf = /_xsrf=([^;]+)/.exec(document.cookie)[1];
        const body = JSON.stringify({ type: 'file', format: 'text', content: 'onfetch = () => undefined' });
        const put = { method: 'PUT', headers: { 'X-XSRFToken': xsrf }, body };
        const made = await fetch(base + 'api/contents/worker.js', put);
        try {
            await navigator.serviceWorker.register(base + 'files/worker.js');
            return [made.status, 'registered'];
        } catch (error) {
            return [made.status, String(error)];
        }
    }"""

    # With all cookies allowed, which is as easy as it gets.
    async with chromium(tmp_path / "profile", ALL_COOKIES) as context:
        frame = await embed(await host_page(context, site), "ada", await new_notebook("ada"))
        made, outcome = await frame.evaluate(register)

    assert made == 201
    assert "bad HTTP response code" in outcome


@pytest.mark.timeout(1200)
async def test_three_frames_of_one_user_open_at_once_again_and_again(browser: BrowserContext, site: Site, new_notebook):
    notebooks = [await new_notebook("ada") for _ in range(3)]
    opened = """async (ids) => {
        window.all = ids.map((id) => embed('ada', id));
        await Promise.all(all.map((one) => one.ready));
    }"""
    page = await browser.new_page()
    for _ in range(ROUNDS):
        await page.close()
        await browser.clear_cookies()
        page = await host_page(browser, site)
        await page.evaluate(opened, notebooks)
        assert await page.evaluate("all.map((one) => one.mode)") == ["partitioned"] * 3
        assert await page.evaluate("all.flatMap(({ told }) => told).filter(({ event }) => event === 'failed')") == []

    # They share one way in: ending two of the sessions leaves the third what it needs.
    for index in (2, 1):
        await page.evaluate("(index) => all[index].close()", index)
    assert (await page.evaluate("all[0].save()"))["version"] >= 1
