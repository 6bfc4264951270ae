"""The demo's pages in a real browser, with the built SDK, in front of a fake Inset and a fake notebook frame."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from inset_client.testkit import FakeInset, FakeProblem
from tests.demo.conftest import FRONTEND, KEY
from tests.support.axe import PICTURES, look
from tests.support.chromium import fresh_page
from tests.support.real_hub import free_ports
from tests.support.serving import served
from tests.support.webhooks import SECRET

SDK = FRONTEND / "dist"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not (SDK / "inset-notebook.js").exists(), reason="the SDK is not built"),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium"),
]


@dataclass
class Stack:
    url: str
    inset: FakeInset


@pytest_asyncio.fixture(loop_scope="session")
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    from demo.app import create_app
    from demo.settings import Settings

    host_port, service_port = free_ports(2)
    host, service = (f"http://localhost:{port}" for port in (host_port, service_port))
    frames = f"http://seat-001.nb.localhost:{service_port}"
    inset = FakeInset(url=service, key=KEY, origin=host, frames=frames)
    settings = Settings(
        secret=KEY,
        webhook_secret=SECRET,
        data=tmp_path,
        service_url=service,
        service_internal_url=f"http://127.0.0.1:{service_port}",
        frame_src=f"http://*.nb.localhost:{service_port}",
        sdk=SDK,
    )
    inset.send_webhooks(f"{host}/inset-events", secret=SECRET)
    async with served(inset.app, service_port), served(create_app(settings), host_port):
        yield Stack(host, inset)


@pytest_asyncio.fixture(loop_scope="session")
async def page(stack: Stack, chromium_for_all: Browser) -> AsyncIterator[Page]:
    """A browser page, closed before the servers; what it complains of fails the test."""
    async with fresh_page(chromium_for_all) as page:
        page.set_default_timeout(60_000)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None)
        yield page
    assert complaints == []


async def log_in(page: Page, stack: Stack) -> None:
    await page.goto(stack.url)
    await page.get_by_label("User name").fill("ada")
    await page.get_by_label("Password").fill("fieldnotes")
    await page.get_by_role("button", name="Log in").click()


async def create(page: Page, title: str) -> None:
    await page.get_by_label("New analysis").fill(title)
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("heading", name=title)).to_be_visible()


async def type_into_the_notebook(page: Page, text: str) -> None:
    await page.frame_locator(".inset-frame").get_by_label("Cell").fill(text)


async def test_the_save_button_follows_the_notebook(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    save, state = page.locator("#save"), page.get_by_test_id("save-state")
    await expect(state).to_have_text("All changes saved")
    await expect(save).to_have_text("Saved")
    await expect(save).to_be_disabled()

    await type_into_the_notebook(page, "1 + 1")
    await expect(state).to_have_text("Unsaved changes")
    await save.click()
    await expect(save).to_have_text("Saved")
    await expect(page.get_by_test_id("version")).to_have_text(re.compile(r"^Version 2 · saved \d\d:\d\d:\d\d$"))

    stack.inset.down = True
    await type_into_the_notebook(page, "2 + 2")
    await save.click()
    await expect(state).to_have_text("Save failed: the notebook service does not answer")
    stack.inset.down = False
    await page.get_by_role("button", name="Save again").click()
    await expect(page.get_by_test_id("version")).to_contain_text("Version 3")
    await expect(state).to_have_text("All changes saved")


async def test_the_history_shows_downloads_and_restores_versions(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await type_into_the_notebook(page, "the second version")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.get_by_role("button", name="History").click()
    versions = page.get_by_test_id("versions").get_by_role("listitem")
    await expect(versions).to_have_count(2)
    await expect(versions.first).to_contain_text("Version 2")
    await expect(versions.first).to_contain_text("Current")

    await page.get_by_role("button", name="View version 2").click()
    await expect(page.get_by_role("dialog")).to_contain_text("the second version")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download").click()
    assert (await download.value).suggested_filename == "Malaria grants v2.ipynb"
    await page.get_by_role("button", name="Close").click()

    await page.get_by_role("button", name="Restore version 1").click()
    await expect(versions).to_have_count(3)
    await expect(versions.first).to_contain_text("Restored")
    await expect(page.get_by_test_id("version")).to_contain_text("Version 3")


async def test_versions_are_compared_line_by_line(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await type_into_the_notebook(page, "grants = 7")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_test_id("version")).to_contain_text("Version 2")
    await type_into_the_notebook(page, "grants = 8\n# <b>more</b>")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_test_id("version")).to_contain_text("Version 3")
    await page.get_by_role("button", name="History").click()

    await page.get_by_role("button", name="Compare version 2").click()

    dialog = page.get_by_role("dialog", name="From version 2 to version 3")
    await expect(dialog.locator("h3")).to_have_text(["Changed: cell 1"])
    await expect(dialog.locator("del")).to_have_text(["- grants = 7"])
    await expect(dialog.locator("ins")).to_have_text(["+ grants = 8", "+ # <b>more</b>"])
    await expect(dialog.get_by_role("link", name="Download")).to_be_hidden()
    await look(page, "demo-compared")


async def test_the_tools_command_the_notebook_and_show_what_it_tells(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved")
    cell = page.frame_locator(".inset-frame").get_by_label("Cell")
    await page.get_by_role("button", name="Tools").click()
    tools = page.get_by_role("complementary", name="Tools")
    log = tools.get_by_test_id("log").get_by_role("listitem")
    await expect(log.filter(has_text="ready")).to_have_count(1)

    await tools.get_by_role("button", name="Run all").click()
    await expect(log.filter(has_text="executed")).to_contain_text("failed false")
    await expect(tools.locator("#kernel")).to_have_text("idle")
    await tools.get_by_role("button", name="Restart").click()
    await expect(log.filter(has_text="restarting")).to_have_count(1)

    await expect(tools.get_by_role("button", name="Rewrite it")).to_be_disabled()
    await tools.get_by_role("button", name="Insert a note").click()
    await expect(cell).to_have_value(re.compile("Made by Fieldnotes at"))
    await tools.get_by_role("button", name="Rewrite it").click()
    await expect(cell).to_have_value(re.compile("Rewritten by Fieldnotes at"))

    await tools.get_by_label("Theme").select_option("dark")
    await expect(page.frame_locator(".inset-frame").locator("html")).to_have_css("color-scheme", "dark")
    await tools.get_by_label("Menu").uncheck()
    await tools.get_by_label("Read-only").check()
    await expect(cell).not_to_be_editable()
    await tools.get_by_role("button", name="Insert a note").click()
    await expect(page.get_by_role("alert")).to_have_text("The notebook is read-only just now.")
    await look(page, "demo-tools")

    # One panel at a time.
    await page.get_by_role("button", name="History").click()
    await expect(tools).to_be_hidden()


async def test_the_notebook_follows_the_page_into_the_dark(page: Page, stack: Stack) -> None:
    await page.emulate_media(color_scheme="dark")
    await log_in(page, stack)
    await create(page, "Malaria grants")
    notebook = page.frame_locator(".inset-frame").locator("html")

    await expect(notebook).to_have_css("color-scheme", "dark")
    await page.emulate_media(color_scheme="light")
    await expect(notebook).to_have_css("color-scheme", "light")


async def test_the_page_shows_what_webhooks_have_told_its_back_end(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved")

    async def when_delivered(route: Route) -> None:
        async with asyncio.timeout(20):
            while any(delivery.state == "waiting" for delivery in stack.inset.deliveries):
                await asyncio.sleep(0.05)
        await route.continue_()

    # The page asks once, two seconds after a save: webhooks that take longer than usual are not too late for it.
    await page.route("**/told", when_delivered)
    await page.get_by_role("button", name="Tools").click()
    told = page.get_by_test_id("told").get_by_role("listitem")

    await type_into_the_notebook(page, "1 + 1")
    await page.get_by_role("button", name="Save", exact=True).click()

    await expect(told.filter(has_text="version 2, save")).to_contain_text("notebook.saved")
    await expect(told.filter(has_text="session.ready")).to_have_count(1)


async def test_who_waits_is_told_the_place_in_the_queue_and_can_give_up(page: Page, stack: Stack) -> None:
    stack.inset.step, stack.inset.place = 60, 3
    await log_in(page, stack)
    await create(page, "Malaria grants")

    await expect(page.get_by_test_id("save-state")).to_contain_text("number 3")
    await expect(page.locator(".inset-panel")).to_contain_text("Waiting for a free place: number 3")
    await look(page, "demo-queued")
    [session] = stack.inset.sessions.values()
    session.waits_for = "hub"
    session.place = None
    await expect(page.locator(".inset-panel")).to_contain_text("The notebook server does not answer yet")
    session.waits_for = "image"
    await expect(page.locator(".inset-panel")).to_contain_text("Downloading the notebook server")
    await page.get_by_role("button", name="Cancel").click()

    await expect(page.get_by_role("alert")).to_contain_text("The notebook was not opened")
    await expect(page.frame_locator(".inset-preview").get_by_text("Preview of version 1")).to_be_visible()
    # The page answers at once; its back end tells the service after that.
    async with asyncio.timeout(10):
        while session.ending_reason is None:
            await asyncio.sleep(0.05)
    assert session.ending_reason == "closed"


async def test_restoring_saves_unsaved_edits_first(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await type_into_the_notebook(page, "second")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.get_by_role("button", name="History").click()
    versions = page.get_by_test_id("versions").get_by_role("listitem")
    await expect(versions).to_have_count(2)
    await type_into_the_notebook(page, "not saved yet")
    await page.get_by_role("button", name="Restore version 1").click()
    await expect(versions).to_have_count(4)
    [notebook] = stack.inset.notebooks.values()
    assert b"not saved yet" in notebook.versions[2].content


async def test_renaming_beside_and_inside_the_notebook_agree(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "First title")
    await page.get_by_role("button", name="Rename").click()
    await page.get_by_label("Title").fill("Second title")
    await page.get_by_role("button", name="Save title").click()
    await expect(page.get_by_role("heading", name="Second title")).to_be_visible()
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved")

    [id] = stack.inset.notebooks
    assert stack.inset.notebooks[id].name == "Second title"
    stack.inset.rename_inside_jupyter(id, "Third title")
    await expect(page.get_by_role("heading", name="Third title")).to_be_visible()
    await page.get_by_role("link", name="Analyses").click()
    await expect(page.get_by_role("link", name="Third title")).to_be_visible()


async def test_the_list_tells_versions_renames_deletes_and_undoes(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Rare diseases")
    await page.get_by_role("link", name="Analyses").click()
    row = page.get_by_test_id("analyses").get_by_role("listitem")
    await expect(row).to_contain_text("Version 1, saved just now")

    await page.get_by_role("button", name="Rename Rare diseases").click()
    await page.get_by_label("Title").fill("Rarer diseases")
    await page.get_by_role("button", name="Save title").click()
    await page.get_by_role("button", name="Delete Rarer diseases").click()
    await expect(row).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(row).to_contain_text("Rarer diseases")


async def test_ending_the_session_leaves_a_way_back_in(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await page.get_by_role("button", name="End session").click()
    await expect(page.get_by_test_id("save-state")).to_have_text("Session ended")
    await page.get_by_role("button", name="Open again").click()
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved")


async def test_a_problem_of_the_service_is_a_sentence_on_the_page(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await page.get_by_role("link", name="Analyses").click()
    stack.inset.down = True
    await page.reload()
    expected = "The hub is unavailable. Notebooks can't be reached just now."
    await expect(page.get_by_role("alert")).to_have_text(expected)
    await expect(page.get_by_role("link", name="Malaria grants")).to_be_visible()


async def test_logging_out_leaves_nothing_behind(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved")
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert [s.state in ("ending", "ended") for s in stack.inset.sessions.values()] == [True]


async def test_the_set_up_is_checked_when_somebody_asks_and_not_before(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved")
    found = page.get_by_role("list", name="What was found").get_by_role("listitem")
    await expect(page.get_by_text("Everything that could be checked")).to_have_count(0)
    await expect(found).to_have_count(0)

    await page.get_by_text("Something wrong? Check the set-up").click()

    await expect(page.get_by_text("Everything that could be checked is as it should be.")).to_be_visible()
    codes = await found.evaluate_all("(items) => items.map(({ dataset }) => dataset.code)")
    assert codes == ["service", "token", "notebook", "frame", "cookies"]
    await page.get_by_text("Something wrong? Check the set-up").click()
    stack.inset.refusing = FakeProblem(401, "token-audience", "Wrong audience", "The token's `aud` must be another.")

    await page.get_by_text("Something wrong? Check the set-up").click()

    await expect(found.nth(1)).to_contain_text("The token's `aud` must be another.")
    await expect(page.get_by_text("1 of 3 checks found something.")).to_be_visible()
    await look(page, "demo-checkup")


async def test_a_conflict_offers_its_ways_out_and_the_keyboard_reaches_them(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved")
    [id] = stack.inset.notebooks
    stack.inset.save(id, b"{}", origin="api")
    mine = {"cell_type": "code", "id": "c1", "metadata": {}, "source": ["grants = 7\n", "grants"], "outputs": []}
    stack.inset.keep_aside(id, json.dumps({"cells": [mine]}).encode(), base=1)
    dialog = page.get_by_role("dialog", name="This notebook was changed in two places")
    await expect(dialog).to_contain_text("Version 2 (“theirs”) was saved")
    await expect(dialog).to_contain_text("kept as version 3")

    stack.inset.unsettled = [{"cell": "c1", "part": "source"}, {"cell": None, "part": "notebook metadata"}]
    await expect(dialog.get_by_role("button", name="Merge both")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("listitem")).to_have_text(
        ["Cell 1 “grants = 7”: its text", "The notebook’s own settings"]
    )
    await look(page, "demo-conflict")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()

    # What was put off is found again in the history.
    await page.get_by_role("button", name="History").click()
    await expect(page.get_by_test_id("versions").get_by_role("listitem").first).to_contain_text("Not in the current")
    await page.get_by_role("button", name="Resolve version 3").click()
    await dialog.get_by_role("button", name="Keep mine").click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_test_id("version")).to_contain_text("Version 4")
    await expect(page.get_by_role("button", name="Resolve version 3")).to_have_count(0)


async def test_a_conflict_that_cannot_be_resolved_just_now_says_so_and_stays(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved")
    [id] = stack.inset.notebooks
    stack.inset.save(id, b"{}", origin="api")
    stack.inset.keep_aside(id, b"{}", base=1)
    dialog = page.get_by_role("dialog", name="This notebook was changed in two places")
    stack.inset.refusing = FakeProblem(503, "server-gone", "Notebook server is gone", "Open the notebook again.")

    await dialog.get_by_role("button", name="Keep theirs").click()

    await expect(dialog.get_by_role("alert")).to_have_text("Notebook server is gone. Open the notebook again.")
    stack.inset.refusing = None
    await dialog.get_by_role("button", name="Keep theirs").click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_test_id("version")).to_contain_text("Version 2")


async def test_the_last_saved_version_is_shown_while_the_server_starts(page: Page, stack: Stack) -> None:
    stack.inset.waits_for = "image"
    await log_in(page, stack)
    await create(page, "Malaria grants")

    await expect(page.frame_locator(".inset-preview").get_by_text("Preview of version 1")).to_be_visible()
    await expect(page.get_by_test_id("save-state")).to_have_text(re.compile(r"^Downloading .* \(\d+ %\)$"))

    [session] = stack.inset.sessions.values()
    session.waits_for = None
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved", timeout=20_000)
    await expect(page.locator(".inset-preview")).to_have_count(0)


async def test_without_a_preview_there_is_no_empty_frame(page: Page, stack: Stack) -> None:
    await log_in(page, stack)
    await create(page, "Malaria grants")
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved", timeout=20_000)
    stack.inset.down = True

    async with page.expect_response("**/preview") as answering:
        await page.reload()

    assert (await answering.value).status == 503
    await expect(page.locator(".inset-preview")).to_be_hidden()


async def test_axe_finds_nothing_serious_on_any_page(page: Page, stack: Stack) -> None:
    await page.goto(stack.url)
    await look(page, "demo-login")
    await log_in(page, stack)
    await create(page, "Malaria grants in the north and in the south of the country")
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved")
    await type_into_the_notebook(page, "1 + 1")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.get_by_role("button", name="History").click()
    await expect(page.get_by_test_id("versions").get_by_role("listitem")).to_have_count(2)
    await look(page, "demo-analysis")
    await page.get_by_role("button", name="View version 1").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await look(page, "demo-version")
    await page.goto(stack.url)
    await look(page, "demo-list")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone_the_header_takes_two_lines_and_nothing_sticks_out(
    page: Page, stack: Stack, scheme: Literal["light", "dark"]
) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await log_in(page, stack)
    await create(page, "Malaria grants in the north and in the south of the country")
    await type_into_the_notebook(page, "1 + 1")
    await expect(page.get_by_test_id("save-state")).to_have_text("Unsaved changes")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_test_id("version")).to_contain_text("Version 2")
    await expect(page.get_by_test_id("save-state")).to_have_text("All changes saved")
    await picture(page, f"demo-analysis-390-{scheme}")

    assert await lines(page, ".masthead .brand, .who span, .who button") == 1
    assert await lines(page, "main > .toolbar :is(.heading > *, .state, button)") == 2
    # What one element says is not broken over several lines, as names and paths were.
    for one_line in (".who span", ".heading > a", ".heading h1", "#state"):
        assert await page.locator(one_line).evaluate("(e) => e.getBoundingClientRect().height") < 30, one_line
    assert await sticking_out(page) == 0

    await page.get_by_role("button", name="History").click()
    await expect(page.get_by_test_id("versions").get_by_role("listitem")).to_have_count(2)
    await picture(page, f"demo-history-390-{scheme}")
    assert await sticking_out(page) == 0
    await page.goto(stack.url)
    await expect(page.get_by_test_id("analyses").get_by_role("listitem")).to_contain_text("Version 2")
    await picture(page, f"demo-list-390-{scheme}")
    assert await lines(page, ".masthead .brand, .who span, .who button") == 1
    assert await sticking_out(page) == 0


async def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png")


async def lines(page: Page, parts: str) -> int:
    """Count the lines on which these elements stand, hidden ones left out: on one line they overlap in height."""
    found: int = await page.locator(parts).evaluate_all(
        """(elements) => {
          const boxes = elements.map((each) => each.getBoundingClientRect()).filter(({ height }) => height);
          boxes.sort((a, b) => a.top - b.top);
          let [count, end] = [0, -Infinity];
          for (const { top, bottom } of boxes) {
            if (top >= end) count += 1;
            end = Math.max(end, bottom);
          }
          return count;
        }"""
    )
    return found


async def sticking_out(page: Page) -> int:
    """Give by how many pixels the page can be scrolled sideways."""
    return int(await page.evaluate("document.documentElement.scrollWidth - innerWidth"))
