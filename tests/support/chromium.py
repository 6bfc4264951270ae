"""A real browser for tests: Debian's Chromium, driven by Playwright."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page, async_playwright

CHROMIUM = Path(__file__).with_name("chromium.sh")

ARGS = [
    # Containers have no user namespaces for it.
    "--no-sandbox",
    # The last one counts: Playwright's own list turns storage partitioning off, and with it a frame's storage.
    "--disable-features=Translate",
]

ALL_COOKIES = {"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}}
NO_THIRD_PARTY_COOKIES = {"profile": {"cookie_controls_mode": 1, "block_third_party_cookies": True}}
NO_COOKIES = {"profile": {"default_content_setting_values": {"cookies": 2}}}


@asynccontextmanager
async def chromium_page() -> AsyncIterator[Page]:
    """A page in a browser of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        try:
            yield await browser.new_page(viewport={"width": 1100, "height": 800})
        finally:
            await browser.close()


@asynccontextmanager
async def chromium(
    profile: Path, preferences: dict[str, Any], *, arguments: Sequence[str] = (), executable: Path | None = None
) -> AsyncIterator[BrowserContext]:
    """A browser whose new profile has these preferences, as its user would have set them."""
    (profile / "Default").mkdir(parents=True)
    (profile / "Default" / "Preferences").write_text(json.dumps(preferences))
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=executable or CHROMIUM,
            args=[*ARGS, *arguments],
            viewport={"width": 1280, "height": 860},
        )
        try:
            yield context
        finally:
            await context.close()
