"""What a person sees of the SDK in a real browser: the last saved version, progress, states of saving, ways out."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FrameLocator, Page, expect

from tests.sdk.conftest import preview
from tests.support.chromium import fresh_page
from tests.support.host_page import SDK, HostPage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-of-the-host'; style-src 'self' 'nonce-of-the-host'; "
    "connect-src 'self'; img-src data:; frame-src http://frame.localhost:*"
)


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium_for_all: Browser) -> AsyncIterator[Page]:
    """A page whose complaints about a Content-Security-Policy fail the test."""
    async with fresh_page(chromium_for_all) as page:
        complaints: list[str] = []
        page.on("console", lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None)
        yield page
    assert complaints == []


def static(page: Page) -> FrameLocator:
    return page.frame_locator(".inset-preview")


async def test_the_last_saved_version_is_read_while_the_server_starts(page: Page, host: HostPage) -> None:
    host.started.clear()
    await page.goto(host.url)

    await expect(static(page).get_by_text("grants = 7")).to_be_visible()
    await expect(page.get_by_text("Starting the notebook server")).to_be_visible()
    seen = await page.evaluate("performance.now()")
    print(f"\nread {seen:.0f} ms after the page was asked for")

    host.started.set()
    await page.evaluate("notebook.ready")
    await expect(page.locator(".inset-preview")).to_have_count(0)
    await expect(page.frame_locator(".inset-frame").get_by_text("The live notebook")).to_be_visible()
    await expect(page.locator(".inset-panel")).to_have_count(0)


async def test_the_notebook_opens_at_the_cell_that_was_being_read(page: Page, host: HostPage) -> None:
    host.previews = [preview(cells=60)]
    host.started.clear()
    await page.goto(host.url)
    # What is hidden still has no height, and scrolls nowhere.
    await expect(page.locator(".inset-preview")).to_be_visible()
    await static(page).get_by_text("# 31", exact=False).evaluate("(cell) => cell.closest('.nb-cell').scrollIntoView()")

    host.started.set()

    body = page.frame_locator(".inset-frame").locator("body")
    await expect(body).to_have_attribute("data-cell", "31")
    await expect(page.locator(".inset-preview")).to_have_count(0)


async def test_what_the_saved_version_covers_is_painted_all_the_same(page: Page, host: HostPage) -> None:
    """Chromium paints what nothing can be seen of once a second, and Jupyter does most of its work as it is painted."""
    host.frames["notebook"] = """<!doctype html><body><script>
      let painted = 0;
      (function paint() { document.body.textContent = painted++; requestAnimationFrame(paint); })();
    </script>"""
    await page.goto(host.url)
    await expect(static(page).get_by_text("grants = 7")).to_be_visible()
    await expect(page.locator(".inset-frame")).to_have_count(1)

    await page.frames[-1].wait_for_function("painted > 60", polling=100)

    await expect(static(page).get_by_text("grants = 7")).to_be_visible()


async def test_a_strict_policy_of_the_page_needs_one_nonce(page: Page, host: HostPage) -> None:
    host.policy = POLICY
    host.started.clear()
    await page.goto(host.url)

    code = static(page).locator(".nb-input")
    await expect(code).to_be_visible()
    assert await code.evaluate("(input) => getComputedStyle(input).borderTopStyle") == "solid"
    host.started.set()
    await page.evaluate("notebook.ready")


async def test_nothing_in_the_saved_version_runs_not_even_what_nobody_has_cleaned(page: Page, host: HostPage) -> None:
    hack = "parent.hacked = top.hacked = true"
    host.previews = [
        f"<script>{hack}</script><img src=x onerror='{hack}'><iframe srcdoc='<script>parent.{hack}</script>'></iframe>"
        f"<a href='javascript:{hack}'>click</a><meta http-equiv=refresh content='0;url=javascript:{hack}'>"
        f"<form action=/evil><button>send</button></form><p class=nb-cell>the end"
    ]
    host.started.clear()
    await page.goto(host.url)
    await expect(static(page).get_by_text("the end")).to_be_visible()
    await static(page).get_by_text("click").click()
    await static(page).get_by_text("send").click()

    host.started.set()
    await page.evaluate("notebook.ready")

    assert await page.evaluate("window.hacked") is None
    assert not [call for call in host.calls if "evil" in call]


async def test_work_can_be_read_where_there_is_no_place_and_the_keyboard_tries_again(
    page: Page, host: HostPage
) -> None:
    host.problem = (409, "session-limit", "This user may have 1 open at once. End one of them first.")
    await page.goto(host.url)

    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("End one of them first.")
    await expect(alert).to_contain_text("session-limit")
    await expect(static(page).get_by_text("grants = 7")).to_be_visible()

    host.problem = None
    await page.get_by_role("button", name="Retry").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_function("told.at(-1).event === 'ready' || told.some(({ event }) => event === 'ready')")
    await expect(page.locator(".inset-preview")).to_have_count(0)


async def test_an_opening_is_given_up_by_keyboard(page: Page, host: HostPage) -> None:
    host.started.clear()
    await page.goto(host.url)
    await expect(static(page).get_by_text("grants = 7")).to_be_visible()
    # The session is known by now: before, there is none that could be ended.
    await expect(page.get_by_text("Starting the notebook server")).to_be_visible()

    await page.get_by_role("button", name="Cancel").focus()
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("alert")).to_contain_text("The notebook was not opened")
    await expect(static(page).get_by_text("grants = 7")).to_be_visible()
    # The page answers at once, and does not wait for the service.
    async with asyncio.timeout(20):
        while "DELETE /v1/sessions/s1" not in host.calls:
            await asyncio.sleep(0.05)


async def test_edits_made_offline_are_said_to_be_kept_and_are_saved_afterwards(page: Page, host: HostPage) -> None:
    await page.goto(host.url)
    await page.evaluate("notebook.ready")
    state = page.locator("[data-inset-save]")
    frame = page.frames[-1]

    await frame.evaluate("edit()")
    await expect(state).to_have_attribute("data-inset-save", "unsaved")
    await page.evaluate("notebook.save()")
    await expect(state).to_have_attribute("data-inset-save", "saved")
    fetched = await page.evaluate("fetched")
    await page.context.set_offline(True)
    await frame.evaluate("edit()")
    await expect(page.get_by_text("Offline: changes are kept and saved later")).to_be_visible()

    await page.context.set_offline(False)

    await expect(state).to_have_attribute("data-inset-save", "saved")
    await page.wait_for_function("(before) => fetched === before + 1", arg=fetched)


async def test_a_notebook_that_is_left_saves_out_of_sight(page: Page, host: HostPage) -> None:
    await page.goto(host.url)
    await page.evaluate("notebook.ready")
    await page.frames[-1].evaluate("edit()")
    await page.wait_for_function("notebook.saveState === 'unsaved'")

    # As a router does: the place is gone before anything can be waited for.
    await page.evaluate("window.left = notebook.leave(); document.querySelector('#mount').remove()")
    await page.evaluate("left")

    assert await page.evaluate("told.filter(({ event }) => event === 'saved').length") == 1
    await expect(page.locator(".inset-notebook")).to_have_count(0)


async def test_react_saves_what_is_unsaved_when_it_takes_the_component_away(
    page: Page, host: HostPage, tmp_path: Path
) -> None:
    await page.goto(host.url)
    await page.evaluate("notebook.destroy()")
    await page.evaluate(bundled(REACT, tmp_path))
    await page.evaluate("shown = true; draw()")
    await page.wait_for_function("heard.includes('ready')")
    await page.frames[-1].evaluate("edit()")
    await page.wait_for_function("heard.includes('dirty')")

    await page.evaluate("shown = false; draw()")

    await expect(page.locator(".inset-notebook")).to_have_count(0)
    await page.wait_for_function("heard.includes('saved')")


REACT = """
  import { createElement } from 'react';
  import { createRoot } from 'react-dom/client';
  import { InsetNotebook } from './dist/react.js';
  Object.assign(window, { heard: [], shown: false });
  const root = createRoot(document.querySelector('#mount'));
  window.draw = () => root.render(window.shown && createElement(InsetNotebook, {
    serviceUrl: location.origin, notebookId: 'n1', fetchToken: async () => 'a-token',
    onEvent: ({ event }) => { window.heard.push(event); },
  }));
"""


def bundled(script: str, folder: Path) -> str:
    """Make one script of this and all that it imports."""
    esbuild = SDK.parent / "node_modules" / ".bin" / "esbuild"
    out = folder / "bundle.js"
    options = ["--bundle", "--define:process.env.NODE_ENV='production'", "--loader=js", f"--outfile={out}"]
    subprocess.run([esbuild, *options], cwd=SDK.parent, input=script.encode(), capture_output=True, check=True)
    return out.read_text(encoding="utf-8")


async def test_the_element_opens_from_a_plain_script_and_leaves_no_global(page: Page, host: HostPage) -> None:
    host.pages["script"] = """<!doctype html><div style="height: 30rem">
      <inset-notebook notebook-id="n1" service-url="" token-url="/token"></inset-notebook></div>
      <script>window.before = new Set(Object.getOwnPropertyNames(window));</script>
      <script src="/sdk/script.js"></script>"""
    await page.goto(f"{host.url}pages/script")

    new = "Object.getOwnPropertyNames(window).filter((name) => !before.has(name) && name !== 'before')"
    assert await page.evaluate(new) == []
    await page.evaluate("document.querySelector('inset-notebook').setAttribute('service-url', location.origin)")
    await expect(page.frame_locator(".inset-frame").get_by_text("The live notebook")).to_be_visible()
