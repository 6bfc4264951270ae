"""What axe finds in the SDK's own chrome, in light and dark, on a phone too; with pictures to be looked at."""

import pytest
from playwright.async_api import Page, expect

from tests.sdk.conftest import preview
from tests.support.axe import look
from tests.support.host_page import HostPage

pytestmark = pytest.mark.browser


@pytest.fixture
def host(host: HostPage) -> HostPage:
    host.previews = [preview(cells=12)]
    return host


async def test_nothing_serious_while_a_notebook_waits_and_opens(page: Page, host: HostPage) -> None:
    host.started.clear()
    await page.goto(host.url)
    await expect(page.get_by_text("Starting the notebook server")).to_be_visible()
    await expect(page.locator(".inset-preview")).to_be_visible()
    await look(page, "sdk-starting")

    host.started.set()
    await page.evaluate("notebook.ready")
    await expect(page.locator(".inset-panel")).to_have_count(0)
    assert (
        await page.evaluate("getComputedStyle(document.querySelector('.inset-save'), '::before').animationName")
        == "none"
    )
    await look(page, "sdk-open")


async def test_nothing_serious_where_a_notebook_can_not_be_shown(page: Page, host: HostPage) -> None:
    host.problem = (503, "no-seat", "All places are taken. Try again in a few minutes.")
    await page.goto(host.url)
    await expect(page.get_by_role("alert")).to_be_visible(timeout=30_000)
    await expect(page.locator(".inset-preview")).to_be_visible()
    await look(page, "sdk-no-place")

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
    await look(page, "sdk-failed")
