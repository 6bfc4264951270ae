"""What people need who read other languages, listen, use keys, wait often, or close the lid: in a real browser."""

import asyncio
import json

import pytest
from playwright.async_api import Page, expect

from tests.support.axe import look
from tests.support.host_page import HostPage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_whole_language_takes_the_place_of_english(page: Page, host: HostPage) -> None:
    host.started.clear()
    await page.goto(host.url)
    words = await page.evaluate("import('/sdk/languages.js').then(({ de }) => de)")
    host.options = {"messages": words}
    await page.reload()

    await expect(page.get_by_text("Der Notebook-Server startet")).to_be_visible()
    await expect(page.get_by_role("progressbar", name="Das Notebook wird geöffnet")).to_be_visible()
    await page.get_by_role("button", name="Abbrechen").click()
    await expect(page.get_by_role("alert")).to_contain_text("Das Notebook wurde nicht geöffnet")
    await expect(page.get_by_role("button", name="Wieder öffnen")).to_be_visible()

    # What the service refuses, too, where the language has the code.
    host.problem = (409, "session-limit", "End one of them first.")
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("Es sind schon zu viele Notebooks geöffnet.")
    await expect(page.get_by_role("alert")).to_contain_text("Schließen Sie zuerst ein anderes.")


async def test_a_screen_reader_is_told_what_happens(page: Page, host: HostPage) -> None:
    host.started.clear()
    await page.goto(host.url)
    await expect(page.get_by_text("Starting the notebook server")).to_be_visible()

    await expect(page.locator(".inset-panel")).to_match_aria_snapshot(
        """
        - status: Starting the notebook server
        - progressbar "Opening the notebook"
        - button "Cancel"
        """
    )
    host.started.set()
    await page.evaluate("notebook.ready")
    await expect(page.locator(".inset-panel")).to_have_count(0)
    await expect(page.locator(".inset-save")).to_have_attribute("role", "status")
    await expect(page.get_by_title("Notebook")).to_have_count(1)


async def test_the_keyboard_goes_from_the_host_through_the_notebook_and_on(page: Page, host: HostPage) -> None:
    host.started.clear()
    await page.goto(host.url)
    await expect(page.locator(".inset-preview")).to_be_visible()
    await page.keyboard.press("Tab")
    while not await page.evaluate("document.activeElement.matches('.inset-cancel')"):
        await page.keyboard.press("Tab")
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"

    host.started.set()
    await page.evaluate("notebook.ready")
    await expect(page.locator(".inset-panel")).to_have_count(0)
    await page.frames[-1].evaluate("document.body.append(document.createElement('button'))")
    await page.keyboard.press("Tab")
    while not await page.evaluate("document.activeElement.matches('.inset-frame')"):
        await page.keyboard.press("Tab")


async def test_whoever_wants_no_motion_sees_none(page: Page, host: HostPage) -> None:
    moving = "() => document.getAnimations().filter(({ playState }) => playState === 'running').length"
    await page.emulate_media(reduced_motion="reduce")
    await page.goto(host.url)
    await page.evaluate("notebook.ready")
    await page.frames[-1].evaluate("hold = true")
    await page.evaluate("notebook.save().catch(() => {}); 0")
    await expect(page.get_by_text("Saving…")).to_be_visible()
    assert await page.evaluate(moving) == 0

    await page.emulate_media(reduced_motion="no-preference")
    await page.wait_for_function(f"({moving})() > 0")


async def test_nothing_serious_in_any_state_of_saving(page: Page, host: HostPage) -> None:
    await page.goto(host.url)
    await page.evaluate("notebook.ready")
    frame, state = page.frames[-1], page.locator("[data-inset-save]")

    await frame.evaluate("edit()")
    await expect(page.get_by_text("Unsaved changes")).to_be_visible()
    await look(page, "sdk-unsaved")
    await frame.evaluate("hold = true")
    await page.evaluate("notebook.save().catch(() => {}); 0")
    await expect(page.get_by_text("Saving…")).to_be_visible()
    await look(page, "sdk-saving")
    await frame.evaluate("fail()")
    await expect(page.get_by_text("Not saved")).to_be_visible()
    await look(page, "sdk-save-failed")
    host.tell("conflict", base_version=1, current_version=2, kept_version=3, resolve="/r")
    await expect(page.get_by_text("Changed in two places: both are kept")).to_be_visible()
    await look(page, "sdk-conflict")
    host.tell("saved", version=4, sha256="cd", origin="merge")
    # Somebody has chosen; what was typed here since then waits.
    await expect(state).to_have_attribute("data-inset-save", "unsaved")
    await page.context.set_offline(True)
    await frame.evaluate("edit()")
    await expect(page.get_by_text("Offline: changes are kept and saved later")).to_be_visible()
    await look(page, "sdk-offline")


async def test_the_percentage_is_learnt_from_starts_before(page: Page, host: HostPage) -> None:
    async def far() -> int:
        host.started.clear()
        await page.reload()
        bar = page.get_by_role("progressbar")
        await expect(page.get_by_text("Starting the notebook server")).to_be_visible()
        return int(await bar.evaluate("({ value }) => value"))

    key = f"inset-notebook:starts:{host.origin}"
    await page.goto(host.url)
    await page.evaluate("notebook.ready")
    learnt = json.loads(await page.evaluate("(key) => localStorage.getItem(key)", key))
    assert len(learnt) == 4
    # Here a start takes a moment, not the eight seconds that are guessed at first.
    assert learnt[1] < 8000

    # Where the server takes nearly all of the time, its phase begins at the beginning; else near the end.
    store = "([key, ms]) => localStorage.setItem(key, JSON.stringify(ms))"
    await page.evaluate(store, [key, [50, 900_000, 50, 50]])
    assert await far() <= 5
    await page.evaluate(store, [key, [900_000, 90_000, 50, 50]])
    assert await far() >= 80


async def test_a_new_token_is_fetched_before_one_expires_once_for_all_who_ask(page: Page, host: HostPage) -> None:
    await page.add_init_script("window.tokensLive = 60")
    await page.clock.install()
    await page.goto(host.url)
    await page.evaluate("notebook.ready")
    ask = "Promise.allSettled([1, 2, 3].map((version) => notebook.restore(version)))"
    await page.evaluate(ask)
    assert await page.evaluate("fetched") == 1

    await page.clock.fast_forward(55_000)
    await page.evaluate(ask)

    assert await page.evaluate("[fetched, most]") == [2, 1]


async def test_a_new_token_is_fetched_after_sleep_and_after_being_offline(page: Page, host: HostPage) -> None:
    await page.clock.install()
    await page.goto(host.url)
    await page.evaluate("notebook.ready")
    assert await page.evaluate("fetched") == 1

    # The lid is closed for two hours: timers come once, late.
    await page.clock.fast_forward("02:00:00")
    await page.wait_for_function("fetched === 2")
    # It is there once the session is followed with it: while it is being fetched, nobody asks for another one.
    async with asyncio.timeout(20):
        while host.calls.count("GET /v1/sessions/s1/events") < 2:
            await asyncio.sleep(0.05)
    await page.context.set_offline(True)
    await page.context.set_offline(False)
    await page.wait_for_function("fetched === 3")

    assert await page.evaluate("most") == 1
