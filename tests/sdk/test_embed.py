"""The built SDK in a real browser, with a real iframe on another site that says what a notebook's page would."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.support.host_page import SDK, HostPage, host_page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

REFUSING = """<!doctype html><script>
  const message = { protocol: 'notebook-embed/1', type: 'entry-failed', reason: 'ticket-used' };
  parent.postMessage(message, HOST);
</script>"""

NOTEBOOK = """<!doctype html>A notebook<script>
  const tell = (target, message, ...rest) => target.postMessage({ protocol: 'notebook-embed/1', ...message }, ...rest);
  const hello = { type: 'hello', min: 1, max: 1, capabilities: ['save'], document: String(Math.random()) };
  const greeting = setInterval(() => tell(parent, hello, HOST), 50);
  addEventListener('message', ({ ports: [port] }) => {
    clearInterval(greeting);
    port.onmessage = ({ data: { type, request } }) => {
      if (type === 'save') tell(port, { type: 'saved', version: 2, sha256: 'ab', origin: 'save', request });
      if (type === 'ping') tell(port, { type: 'pong', request });
    };
    tell(port, { type: 'ready', path: 'a.ipynb', dirty: false, mode: 'plain' });
  });
</script>"""


@pytest_asyncio.fixture(loop_scope="session")
async def host() -> AsyncIterator[HostPage]:
    assert SDK.exists(), "build it first: npm ci && npm run build, in frontend-snippet/"
    # Long enough for a frame that shall speak, wherever it has to wait for a processor; each silence takes as long.
    async with host_page(patience=5_000) as host:
        for name, text in (("refusing", REFUSING), ("notebook", NOTEBOOK), ("silent", "<!doctype html>")):
            host.frames[name] = text.replace("HOST", repr(host.origin))
        yield host


async def open_with(page: Page, host: HostPage, *frames: str) -> None:
    host.frame_urls = [f"{host.frame_origin}/frames/{name}" for name in frames]
    await page.goto(host.url)


async def test_a_notebook_opens_saves_and_closes(page: Page, host: HostPage) -> None:
    await open_with(page, host, "notebook")
    await page.evaluate("notebook.ready")

    await expect(page.get_by_title("Notebook").content_frame.locator("body")).to_contain_text("A notebook")
    assert await page.evaluate("notebook.save()") == {"version": 2, "sha256": "ab"}

    await page.evaluate("notebook.close()")
    await expect(page.get_by_role("alert")).to_contain_text("The notebook was closed")
    await expect(page.locator("iframe")).to_have_count(0)


async def test_the_way_to_a_notebook_is_shown(page: Page, host: HostPage) -> None:
    await open_with(page, host, "silent")

    await expect(page.get_by_role("status").first).to_contain_text("Connecting to the notebook")
    progress = page.get_by_role("progressbar", name="Opening the notebook")
    assert 0 < await progress.evaluate("({ value }) => value") < 100


async def test_a_refused_url_is_replaced_although_only_its_fragment_changes(page: Page, host: HostPage) -> None:
    await open_with(page, host, "refusing#ticket=1", "refusing#ticket=2", "notebook")
    await page.evaluate("notebook.ready")

    assert host.minted == 3


async def test_a_frame_that_never_speaks_can_be_tried_again(page: Page, host: HostPage) -> None:
    await open_with(page, host, "silent", "silent", "notebook")
    await expect(page.get_by_role("alert")).to_contain_text("can’t be shown")
    assert (await page.evaluate("told.at(-1)"))["code"] == "frame-unresponsive"

    await page.get_by_role("button", name="Retry").click()

    await page.wait_for_function("told.at(-1).event === 'ready'")
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_a_frame_that_went_to_an_error_page_is_replaced(page: Page, host: HostPage) -> None:
    await open_with(page, host, "notebook")
    await page.evaluate("notebook.ready")

    await page.frames[1].evaluate("location.href = 'silent'")

    await page.wait_for_function("told.filter(({ event }) => event === 'ready').length === 2")
    assert host.minted == 2


async def test_destroy_leaves_the_mount_point_as_it_was(page: Page, host: HostPage) -> None:
    await open_with(page, host, "notebook")
    await page.evaluate("notebook.ready")

    await page.evaluate("notebook.destroy(); notebook.destroy()")

    assert await page.locator("#mount").inner_html() == ""
    assert "DELETE /v1/sessions/s1" not in host.calls
