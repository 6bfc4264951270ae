"""How long a notebook's page takes in Chromium, from the frame's navigation until its first cell can be typed into.

The kernel runs already, so that nothing but the page counts. Cold is a browser that has never been there, warm the same
browser's next opening. Ahead is one that has not been there either, and fetched the page's files while the server was
starting, as the SDK has it do.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.support.chromium import ARGS, CHROMIUM, fresh_context

NextUrl = Callable[[], Awaitable[str]]
"""Gives an address that opens the notebook, anew each time."""

_CELL = ".jp-Notebook .jp-CodeCell .cm-content[contenteditable=true]"
_SHOW = "url => { document.querySelector('iframe').src = url }"
_QUIET_SECONDS = 1.5
# One process for all frames, so that one connection to the browser's tools sees, and slows, each of their requests.
_ARGS = [*ARGS, "--disable-site-isolation-trials", "--disable-features=Translate,IsolateOrigins,site-per-process"]


@dataclass(frozen=True)
class Line:
    """What lies between browser and server."""

    name: str
    megabits: float = 0
    """A second, down; 0 stands for no bound."""
    latency: float = 0
    """Milliseconds of each round trip."""


LOOPBACK = Line("this machine")
ORDINARY = Line("20 Mbit/s, 40 ms", 20, 40)


@dataclass(frozen=True)
class Load:
    """One opening."""

    seconds: float
    requests: int
    bytes: int
    """As they came over the line."""


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGS)
        try:
            yield browser
        finally:
            await browser.close()


async def cold_and_warm(browser: Browser, host_page: str, next_url: NextUrl, line: Line) -> tuple[Load, Load]:
    """Open a notebook in a frame of the host's page, in a browser's profile that is new, and then once more."""
    async with fresh_context(browser, width=1100, height=800) as context:
        return (
            await _load(context, host_page, await next_url(), line),
            await _load(context, host_page, await next_url(), line),
        )


async def fetched_ahead(browser: Browser, host_page: str, next_url: NextUrl, line: Line, warm_up_url: str) -> Load:
    """Fetch the page's files as the SDK does, in a profile that is new, and then open a notebook in the same page."""
    async with fresh_context(browser, width=1100, height=800) as context:
        return await _load(context, host_page, await next_url(), line, warm_up_url)


async def _load(context: BrowserContext, host_page: str, url: str, line: Line, warm_up_url: str | None = None) -> Load:
    page = await context.new_page()
    try:
        await page.goto(host_page)
        if warm_up_url:
            # It becomes a blank page when all is there.
            async with page.expect_event("framenavigated", lambda frame: frame.url == "about:blank"):
                await page.evaluate(_SHOW, warm_up_url)
            await asyncio.sleep(_QUIET_SECONDS)
        devtools = await context.new_cdp_session(page)
        await devtools.send("Network.enable")
        if line.megabits:
            speed = line.megabits * 1e6 / 8
            bounds = {"latency": line.latency, "downloadThroughput": speed, "uploadThroughput": speed}
            await devtools.send("Network.emulateNetworkConditions", {"offline": False, **bounds})
        told: dict[str, Any] = {}
        sizes: list[float] = []
        devtools.on("Network.responseReceived", lambda event: told.update({event["requestId"]: event}))
        devtools.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        begin = time.perf_counter()
        await page.evaluate(_SHOW, url)
        await page.frame_locator("iframe").locator(_CELL).first.wait_for(timeout=120_000)
        seconds = time.perf_counter() - begin
        await asyncio.sleep(_QUIET_SECONDS)
        return Load(seconds, len(told), int(sum(sizes)))
    finally:
        await page.close()
