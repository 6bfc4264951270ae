"""What axe finds in the SDK's own chrome, in light and dark, on a phone too; with pictures to be looked at."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.sdk.test_opening import NOTEBOOK, preview
from tests.support.axe import serious
from tests.support.chromium import chromium_page
from tests.support.host_page import SDK, HostPage, host_page
from tests.support.real_hub import ROOT

pytestmark = pytest.mark.browser

PICTURES = ROOT / ".artifacts" / "screenshots"
SIZES = {"desk": {"width": 1100, "height": 800}, "phone": {"width": 360, "height": 740}}


@pytest.fixture
async def host() -> AsyncIterator[HostPage]:
    assert SDK.exists(), "build it first: npm ci && npm run build, in frontend-snippet/"
    async with host_page() as host:
        host.frames["notebook"] = NOTEBOOK.replace("HOST", repr(host.origin))
        host.frame_urls = [f"{host.frame_origin}/frames/notebook"]
        host.previews = [preview(cells=12)]
        yield host


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with chromium_page() as page:
        yield page


async def look(page: Page, name: str) -> None:
    """Have axe look at what is shown in every dress, and keep a picture of each."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for size, viewport in SIZES.items():
        await page.set_viewport_size(viewport)  # type: ignore[arg-type]
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            assert await serious(page) == [], f"{name}, {size}, {scheme}"
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{name} is wider than a {size}"
            await page.screenshot(path=picture(f"sdk-{name}-{size}-{scheme}"))


def picture(name: str) -> Path:
    return PICTURES / f"{name}.png"


async def test_nothing_serious_while_a_notebook_waits_and_opens(page: Page, host: HostPage) -> None:
    host.started.clear()
    await page.goto(host.url)
    await expect(page.get_by_text("Starting the notebook server")).to_be_visible()
    await expect(page.locator(".inset-preview")).to_be_visible()
    await look(page, "starting")

    host.started.set()
    await page.evaluate("notebook.ready")
    await expect(page.locator(".inset-panel")).to_have_count(0)
    assert (
        await page.evaluate("getComputedStyle(document.querySelector('.inset-save'), '::before').animationName")
        == "none"
    )
    await look(page, "open")


async def test_nothing_serious_where_a_notebook_can_not_be_shown(page: Page, host: HostPage) -> None:
    host.problem = (503, "no-seat", "All places are taken. Try again in a few minutes.")
    await page.goto(host.url)
    await expect(page.get_by_role("alert")).to_be_visible(timeout=30_000)
    await expect(page.locator(".inset-preview")).to_be_visible()
    await look(page, "no-place")

    # Everything can be reached and pressed by keyboard.
    await page.keyboard.press("Tab")
    host.problem = None
    while not await page.evaluate("document.activeElement.matches('.inset-button')"):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_function("told.some(({ event }) => event === 'ready')")


async def test_nothing_serious_where_there_is_no_saved_version_either(page: Page, host: HostPage) -> None:
    host.previews = []
    host.problem = (409, "session-limit", "End one of them first.")
    await page.goto(host.url)
    await expect(page.get_by_role("alert")).to_be_visible()
    await look(page, "failed")
