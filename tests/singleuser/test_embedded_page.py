"""Everything between the host's page and the service at once: SDK, entry, page extension and bridge, on a real hub."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Frame, Page

from tests.fakes.fake_service import FakeService, FakeVersion
from tests.singleuser.conftest import Seat, notebook, started
from tests.support.chromium import NO_COOKIES, NO_THIRD_PARTY_COOKIES, chromium, fresh_page
from tests.support.host_page import HostPage, host_page
from tests.support.notebook_page import run_in_last_cell, type_in_last_cell, until_connected
from tests.support.plain_jupyter import DOCUMENTS
from tests.support.real_hub import RealHub

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SEAT = "seat-003"

KEEP_SOCKETS = """
  window.sockets = [];
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      window.sockets.push(this);
    }
  };
"""
LISTENS = "sockets.some((one) => new URL(one.url).pathname.endsWith('api/events/subscribe') && one.readyState === 1)"


@dataclass
class Embedded:
    """A stored notebook, loaded into a server that a host's page may frame."""

    host: HostPage
    page: Page
    seat: Seat
    notebook_id: str
    path: str

    def way_in(self, interface: str = "notebook", *, problem: str = "", expires_in: float = 3600) -> str:
        """A signed URL, as the service would mint it; it lets in for so many seconds."""
        ticket = self.seat.service.issue_ticket(
            hub_token=self.seat.token,
            notebook_id=self.notebook_id,
            server_id=self.seat.server_id,
            next=f"/user/{SEAT}/{'lab/tree' if interface == 'lab' else 'notebooks'}/{self.path}",
            problem=problem,
            expires_in=expires_in,
        )
        return f"{self.seat.hub.seat_origin(SEAT)}/user/{SEAT}/inset/enter#ticket={ticket}"

    async def open(self, *urls: str) -> Frame:
        self.host.frame_urls = list(urls)
        await self.page.goto(self.host.url)
        await self.page.evaluate("notebook.ready")
        return self.page.frames[1]

    async def open_and_listen(self) -> Frame:
        """Wait until it is connected to its kernel, and hears what the bridge tells."""
        await self.page.add_init_script(KEEP_SOCKETS)
        frame = await self.open(self.way_in())
        await until_connected(frame)
        async with asyncio.timeout(60):
            while not await frame.evaluate(LISTENS):
                await asyncio.sleep(0.1)
        return frame

    async def autosave_every(self, seconds: int) -> None:
        """Choose that for pages that are opened from now on."""
        settings = {"raw": json.dumps({"autosaveInterval": seconds})}
        (await self.seat.http.put(f"lab/api/settings/{DOCUMENTS}", json=settings)).raise_for_status()

    async def type(self, text: str) -> None:
        frame = self.page.frames[1]
        await type_in_last_cell(frame, "")  # once it has the keyboard, the page takes that away no more
        first = frame.locator(".jp-Notebook .cm-content").first
        await first.click()
        await first.press("Control+End")
        await first.press_sequentially(f"\n{text}")
        await self.page.wait_for_function("told.some(({ event, dirty }) => event === 'dirty' && dirty)")

    @property
    def newest(self) -> FakeVersion:
        return self.seat.service.notebooks[self.notebook_id].newest

    @property
    def sent_more_than_once(self) -> int:
        """How many of the contents that the service was sent it had already."""
        stored = self.seat.service.notebooks[self.notebook_id]
        return stored.sent - len(stored.versions[1:])


def with_kernel(content: bytes) -> bytes:
    """Jupyter asks the user for a kernel where the notebook names none."""
    document = json.loads(content)
    document["metadata"]["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps(document).encode()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def host() -> AsyncIterator[HostPage]:
    async with host_page() as host:
        yield host


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def framed(hub: RealHub, service: FakeService, host: HostPage) -> AsyncIterator[Seat]:
    async with started(hub, service, SEAT, origins=[host.origin]) as seat:
        yield seat


@pytest_asyncio.fixture(loop_scope="session")
async def embedded(framed: Seat, host: HostPage, chromium_for_all: Browser) -> AsyncIterator[Embedded]:
    async with fresh_page(chromium_for_all) as page:
        yield await stored(framed, host, page)


async def stored(framed: Seat, host: HostPage, page: Page) -> Embedded:
    host.minted = 0
    content = with_kernel(notebook("1 + 1"))
    notebook_id = framed.service.add_notebook(content)
    path = f"work/{notebook_id}/analysis.ipynb"
    (await framed.put_document(notebook_id, path, version=1, content=content)).raise_for_status()
    embedded = Embedded(host, page, framed, notebook_id, path)
    # Jupyter's own comes every ten seconds, and so at any step of a test.
    await embedded.autosave_every(120)
    return embedded


@pytest.mark.parametrize("interface", ["notebook", "lab"])
async def test_a_save_of_the_host_is_a_version_of_the_service(interface: str, embedded: Embedded):
    await embedded.open(embedded.way_in(interface))
    await embedded.type("typed_by_the_user = 1")

    saved = await embedded.page.evaluate("notebook.save()")

    assert embedded.sent_more_than_once == 0
    assert b"typed_by_the_user" in embedded.newest.content
    assert embedded.newest.origin == "save"
    newest = embedded.newest
    assert saved == {"version": newest.number, "sha256": newest.sha256, "receipt": newest.receipt}


@pytest.mark.parametrize("origin", ["save", "autosave"])
async def test_a_save_inside_the_frame_is_sent_once_and_as_what_it_is(origin: str, embedded: Embedded):
    if origin == "autosave":
        await embedded.autosave_every(10)
    await embedded.open(embedded.way_in())
    await embedded.type("typed_by_the_user = 1")

    if origin == "save":
        await embedded.page.keyboard.press("Control+s")
    # Else Jupyter's own timer comes.

    await embedded.seat.service.until(lambda: b"typed_by_the_user = 1" in embedded.newest.content)
    newest = embedded.newest
    assert newest.origin == origin
    saved = "version => told.some(one => one.event === 'saved' && one.version === version)"
    await embedded.page.wait_for_function(saved, arg=newest.number)
    assert embedded.sent_more_than_once == 0


async def test_a_page_that_is_taken_away_during_its_save_leaves_one_line_of_versions(embedded: Embedded):
    await embedded.open(embedded.way_in())
    await embedded.type("typed_before = 1")
    stored = embedded.seat.service.notebooks[embedded.notebook_id]

    embedded.seat.service.taking.clear()
    try:
        await embedded.page.keyboard.press("Control+s")
        await embedded.seat.service.until(lambda: stored.sent)
        await embedded.page.keyboard.type("\ntyped_during = 1")
        await embedded.page.evaluate("notebook.destroy()")
        # Into the file, not beside it.
        async with asyncio.timeout(10):
            while "typed_during" not in await embedded.seat.text(embedded.path):
                await asyncio.sleep(0.1)
    finally:
        embedded.seat.service.taking.set()

    await embedded.seat.service.until(lambda: b"typed_during" in stored.newest.content)
    assert [version.parent for version in stored.versions] == [None, 1, 2]


async def test_a_frame_can_be_reloaded(embedded: Embedded):
    frame = await embedded.open(embedded.way_in())

    await frame.evaluate("location.reload()")

    await embedded.page.wait_for_function("told.filter(({ event }) => event === 'ready').length === 2")
    assert embedded.host.minted == 1


async def test_an_expired_ticket_is_replaced(embedded: Embedded):
    await embedded.open(embedded.way_in(problem="ticket-expired"), embedded.way_in())

    assert embedded.host.minted == 2


@pytest.mark.parametrize("cookies", [NO_THIRD_PARTY_COOKIES, NO_COOKIES], ids=["partitioned", "cookieless"])
async def test_a_way_in_is_renewed_under_an_open_notebook(
    framed: Seat, host: HostPage, tmp_path: Path, cookies: dict[str, Any]
):
    async with chromium(tmp_path / "profile", cookies) as browser:
        page = browser.pages[0]
        embedded = await stored(framed, host, page)
        frame = await embedded.open(embedded.way_in(expires_in=40), embedded.way_in())
        entered = time.monotonic()
        await run_in_last_cell(frame, "before = 6 * 7")
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))

        await _minted(host, 2)
        await asyncio.sleep(entered + 44 - time.monotonic())  # the first way in is over by now, and looked for
        await embedded.type("after = before")
        saved = await page.evaluate("notebook.save()")

    assert b"after = before" in embedded.newest.content
    assert saved["version"] == embedded.newest.number
    assert sockets == [], "the kernel's connection was cut"
    assert host.minted == 2


async def test_a_page_that_slept_past_its_way_in_is_let_in_again_with_its_edits(embedded: Embedded):
    late = embedded.way_in(problem="ticket-expired")
    frame = await embedded.open(
        embedded.way_in(expires_in=25), embedded.way_in(expires_in=3), late, late, embedded.way_in()
    )
    await run_in_last_cell(frame, "before = 6 * 7")
    await embedded.type("typed_before = 1")

    await _minted(embedded.host, 5)
    await run_in_last_cell(frame, "print('on', 'again')")
    await frame.get_by_text("on again").wait_for()
    await embedded.page.evaluate("notebook.save()")

    assert b"typed_before" in embedded.newest.content


async def _minted(host: HostPage, count: int) -> None:
    async with asyncio.timeout(60):
        while host.minted < count:
            await asyncio.sleep(0.1)


async def test_the_service_gets_unsaved_edits_when_it_asks(embedded: Embedded):
    await embedded.open_and_listen()
    await embedded.type("not_saved_yet = 1")

    answer = await embedded.seat.flush(embedded.path, ask_page=True)

    assert answer.json()["flushed"] is True
    assert b"not_saved_yet" in embedded.newest.content


async def test_a_restored_version_shows_in_the_frame(embedded: Embedded):
    frame = await embedded.open_and_listen()
    content = with_kernel(notebook("restored = 1"))
    number = embedded.seat.service.notebooks[embedded.notebook_id].add(content, parent=1, origin="restore").number

    await embedded.seat.put_document(embedded.notebook_id, embedded.path, version=number, content=content)

    await frame.get_by_text("restored").wait_for()
    assert (await embedded.page.evaluate("notebook.save()"))["version"] >= number


async def test_a_session_that_ended_locks_its_frame_out(embedded: Embedded):
    frame = await embedded.open(embedded.way_in())
    await embedded.seat.http.delete(f"inset/api/documents/{embedded.notebook_id}")

    embedded.host.frame_urls = [embedded.way_in(problem="session-over")]
    await frame.evaluate("location.reload()")

    await embedded.page.wait_for_function("told.at(-1).event === 'failed'", timeout=20_000)
    assert (await embedded.page.evaluate("told.at(-1)"))["code"] == "session-over"
