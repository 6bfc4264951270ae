"""The quick start, followed to the letter: its commands and files, in its order, by one who chose a language."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from playwright.async_api import Page, expect

from tests.docs.following import Reader
from tests.docs.written import DOCS, blocks
from tests.support.notebook_page import run_in_last_cell

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

READY_MS = 90_000


@pytest.mark.parametrize("language", ["Python", "JavaScript"])
async def test_who_follows_the_quick_start_has_a_notebook_in_a_page_of_his_own(
    language: str, reader: Reader, page: Page
) -> None:
    steps = [block for block in blocks(DOCS / "quick-start.md") if block.tab in ("", language)]
    # The first one has been done, for all tests at once.
    assert steps.pop(0).code == "make run\n"
    async with AsyncExitStack() as running:
        starting = [step for step in steps if "uvicorn" in step.code or step.code.startswith("node ")]
        assert len(starting) == 1
        for step in steps:
            if step.title:
                reader.writes(step.title, step.code)
            elif step not in starting:
                reader.runs(step.code)
        await running.enter_async_context(reader.starts(starting[0].code))

        await page.goto(reader.url)
        frame = page.frame_locator(".inset-frame")
        # The page says `6 * 7`; its other readers in this run are the same user.
        shown = f"{language} 42"
        await run_in_last_cell(frame, f"print('{language}', 6 * 7)")
        await expect(frame.locator(".jp-OutputArea-output", has_text=shown)).to_be_visible(timeout=READY_MS)
        await expect(page.locator("[data-inset-save=saved]")).to_be_visible(timeout=READY_MS)
        await _reloaded_until(page, shown)
        again = page.frame_locator(".inset-frame").locator(".jp-OutputArea-output", has_text=shown)
        await expect(again).to_be_visible(timeout=READY_MS)


async def _reloaded_until(page: Page, shown: str) -> None:
    """Reload until the saved version has it: right after a run everything may still count as saved."""
    preview = page.frame_locator(".inset-preview").get_by_text(shown)
    async with asyncio.timeout(READY_MS / 1000):
        while True:
            await page.reload()
            try:
                return await expect(preview).to_be_visible(timeout=15_000)
            except AssertionError:
                continue
