"""The whole stack, a host's site on it, and one browser that blocks third-party cookies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Frame, Page
from stack import Stack

from tests.support.chromium import fresh_context
from tests.support.notebook_page import until_connected
from tests.support.site import Site, notebook
from tests.support.whole import new_stack

NewNotebook = Callable[..., Awaitable[str]]


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = new_stack(tmp_path_factory.mktemp("stack"), INSET_CHECK_INTERVAL="2")
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="package")
def registered(stack: Stack) -> Site:
    return Site.registered(stack)


@pytest_asyncio.fixture(loop_scope="session")
async def site(registered: Site) -> AsyncIterator[Site]:
    """Its users' servers run on from test to test."""
    registered.pages.clear()
    async with registered.served():
        yield registered


@pytest.fixture
def new_notebook(site: Site) -> NewNotebook:
    return new_notebook_on(site)


def new_notebook_on(site: Site) -> NewNotebook:
    """Give what makes a notebook for one of the site's users, and tells its id."""

    async def create(user: str, source: str = "") -> str:
        async with site.client(user) as service:
            made = await service.post("/v1/notebooks", json={"name": f"Of {user}", "content": notebook(source)})
            return str(made.json()["id"])

    return create


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium_for_all: Browser) -> AsyncIterator[BrowserContext]:
    async with fresh_context(chromium_for_all) as context:
        yield context


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: BrowserContext, site: Site) -> Page:
    """The host's page, with nothing in it yet."""
    return await host_page(browser, site)


async def host_page(browser: BrowserContext, site: Site) -> Page:
    page = await browser.new_page()
    await page.goto(site.url)
    await page.wait_for_function("window.loaded")
    return page


async def embed(page: Page, user: str, notebook_id: str) -> Frame:
    """Show a user's notebook, below what the page shows already; gives its frame once it is live."""
    before = len(page.frames)
    await page.evaluate("([user, id]) => embed(user, id).ready", [user, notebook_id])
    frame = page.frames[before]
    await until_connected(frame)
    return frame


async def get(frame: Frame, path: str) -> Any:
    """Ask the frame's own server, as its page does."""
    function = """async (path) => {
        const base = location.pathname.replace(/notebooks.*/, '');
        const xsrf = /_xsrf=([^;]+)/.exec(document.cookie)[1];
        return (await fetch(base + path, { headers: { 'X-XSRFToken': xsrf } })).json();
    }"""
    return await frame.evaluate(function, path)


async def iframe_url(site: Site, user: str, notebook_id: str) -> str:
    """Mint a signed URL for a user's notebook, whose session is opened if there is none."""
    async with site.client(user) as service:
        opened = (await service.post("/v1/sessions", json={"notebook_id": notebook_id})).json()
        async with asyncio.timeout(60):
            while (answer := await service.post(f"/v1/sessions/{opened['id']}/iframe-url")).status_code == 409:
                await asyncio.sleep(0.2)
        return str(answer.json()["url"])
