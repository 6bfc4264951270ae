"""One notebook changed in two places, with a real browser, hub and kernel: both changes are there in the end."""

from contextlib import suppress

import pytest
from playwright.async_api import FrameLocator, Page, expect
from playwright.async_api import TimeoutError as NotInTime

from tests.e2e import fieldnotes
from tests.service.conftest import document

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]


async def replace_cell(frame: FrameLocator, index: int, text: str) -> None:
    """Give a cell another text."""
    cell = frame.locator(".jp-CodeCell .cm-content").nth(index)
    await cell.click()
    await expect(cell).to_be_focused()
    await cell.press("ControlOrMeta+a")
    await cell.page.keyboard.insert_text(text)
    await expect(cell).to_have_text(text)


async def two_cells(page: Page, api, title: str) -> str:
    """Make an analysis whose notebook has two cells, and open it; gives the notebook's path in the API."""
    await fieldnotes.create(page, title)
    await fieldnotes.opened(page)
    path = f"/v1/notebooks/{await fieldnotes.notebook_id(page)}"
    await fieldnotes.end_session(page)
    await put(api, path, document("# one", "# two"))
    await page.reload()
    return path


async def put(api, path: str, content: dict) -> None:
    """Store a document as a host's backend does, which has read the current version."""
    current = (await api.get(path)).json()["version"]
    answer = await api.put(f"{path}/content", json=content, headers={"If-Match": f'"{current}"'})
    assert answer.status_code == 200, answer.text


async def sources(api, path: str) -> list[str]:
    return ["".join(cell["source"]) for cell in (await api.get(f"{path}/content")).json()["cells"]]


def conflict(page: Page):
    return page.get_by_role("dialog", name="This notebook was changed in two places")


async def save_into_conflict(page: Page) -> None:
    """Press Save, which can't be reached any more where an autosave has met the conflict before."""
    with suppress(NotInTime):
        await page.locator("#save").click(timeout=10_000)
    await expect(conflict(page)).to_be_visible(timeout=20_000)


async def test_two_tabs_that_change_different_cells_are_merged(page: Page, browser, api, pictures):
    path = await two_cells(page, api, "In two tabs")
    first = await fieldnotes.opened(page)
    other = await browser.new_page()
    await other.goto(page.url)
    second = await fieldnotes.opened(other)

    await page.bring_to_front()
    await replace_cell(first, 0, "# the first tab's")
    await fieldnotes.save(page)
    await other.bring_to_front()
    await replace_cell(second, 1, "# the second tab's")
    await save_into_conflict(other)
    await other.screenshot(path=pictures / "conflict.png")
    await conflict(other).get_by_role("button", name="Merge both").click()
    await expect(conflict(other)).to_be_hidden(timeout=20_000)
    assert await sources(api, path) == ["# the first tab's", "# the second tab's"]
    for frame in (first, second):
        await expect(frame.locator(".jp-CodeCell .cm-content")).to_have_text(
            ["# the first tab's", "# the second tab's"], timeout=20_000
        )
    await fieldnotes.saved(other)
    await fieldnotes.end_session(other)


async def test_a_hosts_put_into_the_cell_that_is_typed_in_is_named_and_the_user_decides(page: Page, api, pictures):
    path = await two_cells(page, api, "Put by the host")
    frame = await fieldnotes.opened(page)
    await put(api, path, document("# one", "# the host's"))
    await replace_cell(frame, 1, "# the page's")
    await save_into_conflict(page)
    await page.keyboard.press("Enter")
    await expect(conflict(page).get_by_role("listitem")).to_have_text("Cell 2 “# the page's”: its text", timeout=20_000)
    await page.screenshot(path=pictures / "conflict-unsettled.png")
    await conflict(page).get_by_role("button", name="Keep mine").click()

    await expect(conflict(page)).to_be_hidden(timeout=20_000)
    assert await sources(api, path) == ["# one", "# the page's"]
    await fieldnotes.end_session(page)
