"""Real browsers for tests: Debian's Chromium and its shell, driven by Playwright.

The shell is the same engine without a browser's windows, menus and settings, and takes half the processor time. Where
what a user has set matters, it is the whole browser.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

CHROMIUM, SHELL = (Path(__file__).with_name(f"{name}.sh") for name in ("chromium", "chromium-headless-shell"))

ARGS = [
    # Containers have no user namespaces for it.
    "--no-sandbox",
    # The last one counts: Playwright's own list turns storage partitioning off, and with it a frame's storage.
    "--disable-features=Translate",
]

SHELL_ARGS = [
    *ARGS,
    # As in a browser whose user has third-party cookies blocked: of those only partitioned ones are left.
    "--test-third-party-cookie-phaseout",
]

ALL_COOKIES = {"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}}
NO_THIRD_PARTY_COOKIES = {"profile": {"cookie_controls_mode": 1, "block_third_party_cookies": True}}
NO_COOKIES = {"profile": {"default_content_setting_values": {"cookies": 2}}}


@asynccontextmanager
async def chromium_page() -> AsyncIterator[Page]:
    """A page in a browser of its own."""
    async with _browser() as browser, fresh_page(browser) as page:
        yield page


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium_for_all() -> AsyncIterator[Browser]:
    """One browser for all tests of the session's loop: to start it takes longer than most of them."""
    async with _browser() as browser:
        yield browser


@asynccontextmanager
async def fresh_context(browser: Browser, *, width: int = 1280, height: int = 860) -> AsyncIterator[BrowserContext]:
    """What is a browser of its own for its pages: they share no cookies, no storage and no cache with others."""
    async with await browser.new_context(viewport={"width": width, "height": height}) as context:
        yield context


@asynccontextmanager
async def fresh_page(browser: Browser) -> AsyncIterator[Page]:
    """A page that shares nothing with other pages of its browser."""
    async with fresh_context(browser, width=1100, height=800) as context:
        yield await context.new_page()


@asynccontextmanager
async def _browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=SHELL, args=SHELL_ARGS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def chromium(
    profile: Path,
    preferences: dict[str, Any] | None = None,
    *,
    arguments: Sequence[str] = (),
    executable: Path = CHROMIUM,
) -> AsyncIterator[BrowserContext]:
    """A browser with a new profile: the shell, or the whole browser if the profile has preferences of its user's."""
    if preferences is not None:
        (profile / "Default").mkdir(parents=True)
        (profile / "Default" / "Preferences").write_text(json.dumps(preferences))
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=SHELL if preferences is None else executable,
            args=[*(SHELL_ARGS if preferences is None else ARGS), *arguments],
            viewport={"width": 1280, "height": 860},
        )
        try:
            yield context
        finally:
            await context.close()
