"""The demo as a person uses it: what to click, and what to wait for."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from playwright.async_api import FrameLocator, Page, expect
from playwright.async_api import TimeoutError as NotInTime

from tests.support.notebook_page import run_in_last_cell

READY_MS = 60_000


async def create(page: Page, title: str, *, start: str | None = None) -> None:
    """Create an analysis from the list, which opens it."""
    await page.get_by_label("New analysis").fill(title)
    if start:
        await page.get_by_label("Start with").select_option(label=start)
    await page.get_by_role("button", name="Create").click()


async def opened(page: Page) -> FrameLocator:
    """Wait until the notebook in the page is live; gives its frame."""
    await expect(page.get_by_test_id("save-state")).to_have_text(
        re.compile("All changes saved|Unsaved changes"), timeout=READY_MS
    )
    frame = page.frame_locator(".inset-frame")
    await expect(frame.locator(".jp-Cell").first).to_be_visible(timeout=READY_MS)
    return frame


async def run_cell(frame: FrameLocator, code: str, shown: str) -> None:
    """Type into the last cell, run it, and wait for what it prints, and for its number: that is a change as well."""
    await run_in_last_cell(frame, code)
    cell = frame.locator(".jp-CodeCell", has_text=shown).last
    await expect(cell.locator(".jp-OutputArea-output", has_text=shown).last).to_be_visible(timeout=READY_MS)
    await expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"^\[\d+\]:$"), timeout=READY_MS)


@asynccontextmanager
async def unsaved(page: Page) -> AsyncIterator[None]:
    """See the host's button offer to save what is changed in this block: an autosave soon takes that back."""
    async with asyncio.TaskGroup() as seeing:
        seeing.create_task(expect(page.locator("#save")).to_have_text("Save", timeout=READY_MS))
        yield


async def save(page: Page) -> None:
    """Press the host's own Save, and wait until it is done. It can't be pressed where an autosave was faster."""
    with suppress(NotInTime):
        await page.locator("#save").click(timeout=10_000)
    await saved(page)


async def saved(page: Page, *, patience: float = 20_000) -> None:
    """Wait until the host's button says that all is saved."""
    await expect(page.locator("#save")).to_have_text("Saved", timeout=patience)


async def end_session(page: Page) -> None:
    """End the session by the host's control."""
    await page.get_by_role("button", name="End session").click()
    await expect(page.get_by_test_id("save-state")).to_have_text("Session ended", timeout=READY_MS)


async def notebook_id(page: Page) -> str:
    """Read which notebook the page shows."""
    return str(await page.locator('meta[name="inset-notebook"]').get_attribute("content"))
