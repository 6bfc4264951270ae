"""Everything up as `make run` starts it, on ports of its own, and a browser that blocks third-party cookies."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Error, Page, Response
from stack import Stack

from tests.support.chromium import fresh_context
from tests.support.hosts import TestHost
from tests.support.real_hub import ROOT
from tests.support.whole import new_stack

pytestmark = pytest.mark.browser

_TEXT = ("text/", "json", "javascript", "xml")
PASSWORD = "fieldnotes"


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = new_stack(tmp_path_factory.mktemp("stack"), INSET_CHECK_INTERVAL="2")
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="package")
def host(stack: Stack) -> TestHost:
    """The demo's own place in the registry, so that a test can call as its backend does."""
    return TestHost.of(stack)


@pytest_asyncio.fixture(loop_scope="session")
async def api(stack: Stack, host: TestHost) -> AsyncIterator[httpx.AsyncClient]:
    """The service, called by the host's backend for ada."""
    base = f"http://127.0.0.1:{stack.ports.service}"
    async with httpx.AsyncClient(base_url=base, headers=host.backend_bearer("ada"), timeout=60, verify=False) as client:
        yield client


@dataclass
class Heard:
    """Everything that the browsers of this run were sent, to be searched for secrets at the end."""

    urls: list[str] = field(default_factory=list)
    answers: list[tuple[str, str]] = field(default_factory=list)
    """URL and what came: headers and body."""

    async def listen(self, response: Response) -> None:
        self.urls.append(response.url)
        headers = body = ""
        # Of a stream, a redirect or a page that was left there is no body to be had.
        with suppress(Error):
            headers = json.dumps(await response.all_headers())
            if any(kind in headers for kind in _TEXT):
                body = await response.text()
        self.answers.append((response.url, headers + body))


@pytest.fixture(scope="package")
def heard() -> Heard:
    return Heard()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium_for_all: Browser, heard: Heard) -> AsyncIterator[BrowserContext]:
    async with fresh_context(chromium_for_all) as context:
        context.on("response", heard.listen)
        yield context


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: BrowserContext, stack: Stack) -> Page:
    """Ada's page, logged in."""
    page = await browser.new_page()
    await log_in(page, stack, "ada")
    return page


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept, to be looked at."""
    folder = ROOT / ".artifacts" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def log_in(page: Page, stack: Stack, user: str) -> None:
    await page.goto(stack.demo_url)
    await page.get_by_label("User name").fill(user)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_role("heading", name="Analyses").wait_for()
