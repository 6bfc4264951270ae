"""Each framework's sample, started as its page says: log in, see the notebook, save it."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.docs.following import Reader
from tests.docs.written import DOCS, blocks
from tests.support.notebook_page import run_in_last_cell

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

READY_MS = 90_000


@pytest.mark.parametrize("framework", ["django", "flask", "fastapi", "express", "nextjs"])
async def test_a_sample_shows_its_users_notebook(
    framework: str, reader: Reader, samples_key: str, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSET_KEY", samples_key)
    [command, *_] = [block.code for block in blocks(DOCS / "integrate" / f"{framework}.md") if block.language == "sh"]

    async with reader.starts(command):
        refused = await page.request.post(f"{reader.url}inset-token")
        assert refused.status in (401, 403), "nobody is logged in"
        await page.goto(reader.url)
        await page.get_by_label("User").fill("ada")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_text("Logged in as ada")).to_be_visible()
        frame = page.frame_locator(".inset-frame")
        await run_in_last_cell(frame, f"print('{framework}', 6 * 7)")
        await expect(frame.locator(".jp-OutputArea-output", has_text=f"{framework} 42")).to_be_visible(timeout=READY_MS)
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.locator("#state")).to_have_text(re.compile(r"Version \d+ is stored"), timeout=READY_MS)
