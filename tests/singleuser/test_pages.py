"""What the bridge asks of open pages, and how a session's end reaches them."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.singleuser.conftest import SEAT, Seat, notebook
from tests.singleuser.test_entry import Browser
from tests.support.kernels import execution
from tests.support.websocket import websocket

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Page:
    """An open notebook: a kernel, its websocket, and the stream of events."""

    def __init__(self, seat: Seat, browser: Browser, notebook_id: str, path: str) -> None:
        self.seat, self.browser, self.notebook_id, self.path = seat, browser, notebook_id, path
        self.kernel_id = ""
        self.events: ClientConnection
        self.kernel: ClientConnection

    async def event(self) -> dict[str, Any]:
        """The next that the bridge sent."""
        async with asyncio.timeout(30):
            while True:
                event: dict[str, Any] = json.loads(await self.events.recv())
                if event["schema_id"] == "https://inset/bridge/v1":
                    return event

    async def flush(self, **asked: Any) -> None:
        answer = await self._post("flush", {"path": self.path, "origin": "save", **asked})
        assert answer.status_code == 200, answer.text

    async def absent(self, **asked: Any) -> None:
        assert (await self._post("absent", asked)).status_code == 204

    async def keep(self, source: str, *, based_on: bytes) -> httpx.Response:
        digest = hashlib.sha256(based_on).hexdigest()
        return await self._post("keep", {"path": self.path, "content": json.loads(notebook(source)), "hash": digest})

    async def leave(self, source: str, *, based_on: bytes, **more: Any) -> httpx.Response:
        digest = hashlib.sha256(based_on).hexdigest()
        body = {"path": self.path, "content": json.loads(notebook(source)), "hash": digest, **more}
        return await self._post("leave", body)

    async def _post(self, endpoint: str, body: dict[str, Any]) -> httpx.Response:
        xsrf = {"X-XSRFToken": self.browser.cookies["_xsrf"]}
        return await self.browser.request("POST", f"inset/api/{endpoint}", json=body, headers=xsrf)


@asynccontextmanager
async def open_page(seat: Seat, browser: Browser) -> AsyncIterator[Page]:
    """A notebook of its own, open in a browser."""
    notebook_id, path = await seat.load("1")
    await browser.enter(seat.ticket(notebook_id, path))
    page = Page(seat, browser, notebook_id, path)
    session = {"path": path, "name": "n", "type": "notebook", "kernel": {"name": "python3"}}
    page.kernel_id = (await seat.http.post("api/sessions", json=session)).json()["kernel"]["id"]
    channels = f"api/kernels/{page.kernel_id}/channels"
    async with (
        websocket(seat.hub, SEAT, "api/events/subscribe", cookies=browser.cookies) as page.events,
        websocket(seat.hub, SEAT, channels, cookies=browser.cookies) as page.kernel,
    ):
        yield page
    await seat.http.delete(f"inset/api/documents/{notebook_id}")


@pytest_asyncio.fixture(loop_scope="session")
async def page(seat: Seat) -> AsyncIterator[Page]:
    async with open_page(seat, Browser(seat)) as page:
        yield page


async def test_a_kernel_runs_code_over_the_page_s_websocket(page: Page):
    await page.kernel.send(json.dumps(execution("print(6 * 7)")))
    async with asyncio.timeout(20):
        while True:
            message = json.loads(await page.kernel.recv())
            if message["msg_type"] == "stream":
                break
    assert message["content"]["text"] == "42\n"


async def test_a_flush_from_outside_asks_the_page_for_its_edits(page: Page):
    flushing = asyncio.create_task(page.seat.flush(page.path, ask_page=True, origin="save"))

    event = await page.event()
    assert (event["action"], event["path"]) == ("flush", page.path)
    await page.seat.save(page.path, "an edit that only the page had")
    await page.flush(request=event["request"])

    answer = (await flushing).json()
    stored = page.seat.service.notebooks[page.notebook_id]
    assert (answer["version"], answer["flushed"]) == (2, True)
    assert stored.newest.content == notebook("an edit that only the page had")


async def test_a_page_that_is_silent_is_waited_for_and_told_of(page: Page):
    begun = time.monotonic()
    answer = (await page.seat.flush(page.path, ask_page=True)).json()
    assert answer["flushed"] is False
    assert 2.5 < time.monotonic() - begun < 8


async def test_without_a_page_the_file_is_all_there_is(seat: Seat):
    _, path = await seat.load("1")
    begun = time.monotonic()
    assert (await seat.flush(path, ask_page=True)).json()["flushed"] is True
    assert time.monotonic() - begun < 2.5  # a page is waited for longer


async def test_a_page_of_another_notebook_says_so_and_is_not_waited_for(page: Page):
    _, path = await page.seat.load("1")
    begun = time.monotonic()
    flushing = asyncio.create_task(page.seat.flush(path, ask_page=True))

    await page.absent(request=(await page.event())["request"])

    assert (await flushing).json()["flushed"] is True
    assert time.monotonic() - begun < 2.5  # a page is waited for longer


async def test_loading_another_version_tells_the_page_to_read_the_file_again(page: Page):
    stored = page.seat.service.notebooks[page.notebook_id]
    restored = stored.add(notebook("older"), parent=1, origin="restore")

    await page.seat.put_document(page.notebook_id, page.path, version=restored.number, content=restored.content)

    event = await page.event()
    assert (event["action"], event["path"], event["version"]) == ("load", page.path, restored.number)


async def test_detaching_saves_and_closes_the_notebook_s_kernel_and_connections(page: Page):
    seat = page.seat
    await seat.save(page.path, "last")

    detaching = asyncio.create_task(seat.http.delete(f"inset/api/documents/{page.notebook_id}"))
    await page.flush(request=(await page.event())["request"])
    answer = (await detaching).json()

    stored = seat.service.notebooks[page.notebook_id]
    assert (answer["version"], answer["flushed"], answer["path"]) == (2, True, page.path)
    assert stored.newest.content == notebook("last")
    for connection in (page.kernel, page.events):
        assert await closed(connection)
    assert page.kernel_id not in [kernel["id"] for kernel in (await seat.http.get("api/kernels")).json()]
    assert (await page.browser.page("lab")).status_code == 401
    assert (await seat.flush(page.path)).status_code == 404


async def test_ending_one_of_two_sessions_leaves_the_browser_the_other(page: Page):
    seat = page.seat
    other_id, other = await seat.load("1")
    await page.browser.enter(seat.ticket(other_id, other))

    await seat.http.delete(f"inset/api/documents/{page.notebook_id}")

    assert await closed(page.kernel)
    assert (await page.browser.page(f"notebooks/{other}")).status_code == 200
    async with websocket(seat.hub, SEAT, "api/events/subscribe", cookies=page.browser.cookies):
        pass


async def test_a_browser_whose_time_is_over_is_cut_off_within_seconds(seat: Seat):
    browser = Browser(seat)
    await browser.enter(seat.ticket(*await seat.load("1"), expires_in=10))
    assert (await browser.page("lab")).status_code == 200
    async with websocket(seat.hub, SEAT, "api/events/subscribe", cookies=browser.cookies) as events:
        assert await closed(events, within=20)
    assert events.close_code == 4401
    assert (await browser.page("lab")).status_code == 401


async def test_a_late_save_after_detaching_still_reaches_its_notebook(seat: Seat):
    notebook_id, path = await seat.load("1")
    await seat.http.delete(f"inset/api/documents/{notebook_id}")
    known = set(seat.service.notebooks)

    await seat.save(path, "late")

    stored = seat.service.notebooks[notebook_id]
    await seat.service.until(lambda: stored.newest.content == notebook("late"))
    assert set(seat.service.notebooks) == known


async def test_a_page_is_not_asked_when_its_edits_are_not_wanted(page: Page):
    await page.seat.http.delete(f"inset/api/documents/{page.notebook_id}", params={"ask_page": "false"})

    told = [json.loads(event) for event in await until_closed(page.events)]
    assert "flush" not in [event.get("action") for event in told]


async def test_a_page_that_is_silent_is_out_in_time_though_the_service_is_away(page: Page):
    page.seat.service.down = True
    try:
        detaching = asyncio.create_task(page.seat.http.delete(f"inset/api/documents/{page.notebook_id}"))
        assert await closed(page.kernel, within=20)
        assert await closed(page.events, within=20)
    finally:
        page.seat.service.down = False
    await detaching


async def closed(connection: ClientConnection, *, within: float = 30) -> bool:
    """Wait until the server has closed it."""
    await until_closed(connection, within=within)
    return True


async def until_closed(connection: ClientConnection, *, within: float = 30) -> list[str | bytes]:
    """Wait until the server has closed it; gives what came before."""
    came = []
    try:
        async with asyncio.timeout(within):
            while True:
                came.append(await connection.recv())
    except ConnectionClosed:
        return came


async def test_what_a_page_holds_while_another_has_saved_is_kept_beside_it_in_one_line(page: Page):
    stored = page.seat.service.notebooks[page.notebook_id]
    await page.seat.save(page.path, "another page's")

    first = await page.keep("mine", based_on=notebook("1"))
    again = await page.keep("mine, later", based_on=notebook("mine"))

    assert first.json() == {"hash": hashlib.sha256(notebook("mine")).hexdigest()}
    assert again.status_code == 200, again.text
    assert [(version.content, version.parent) for version in stored.versions[1:]] == [
        (notebook("another page's"), 1),
        (notebook("mine"), 1),
        (notebook("mine, later"), 3),
    ]
    assert stored.current == 2
    assert await page.seat.text(page.path) == notebook("another page's").decode()


async def test_a_page_whose_work_was_kept_beside_the_file_shows_what_is_decided(page: Page):
    await page.seat.save(page.path, "another page's")
    await page.keep("mine", based_on=notebook("1"))

    # Theirs was taken: the file is as it was, and this page is not.
    content = notebook("another page's")
    await page.seat.put_document(page.notebook_id, page.path, version=2, content=content)

    event = await page.event()
    assert (event["action"], event["version"]) == ("load", 2)


async def test_a_page_that_goes_away_leaves_its_edits_in_the_file(page: Page):
    answer = await page.leave("typed at last", based_on=notebook("1"))

    assert answer.status_code == 204
    assert await page.seat.text(page.path) == notebook("typed at last").decode()
    await page.seat.flush(page.path)
    assert page.seat.service.notebooks[page.notebook_id].newest.content == notebook("typed at last")


async def test_a_page_that_goes_away_overwrites_nothing_that_another_saved(page: Page):
    await page.seat.save(page.path, "another page's")

    answer = await page.leave("typed at last", based_on=notebook("1"))

    assert answer.status_code == 204
    assert await page.seat.text(page.path) == notebook("another page's").decode()
    contents = [version.content for version in page.seat.service.notebooks[page.notebook_id].versions]
    assert contents[1:] == [notebook("another page's"), notebook("typed at last")]


async def test_a_page_that_goes_away_during_its_own_save_is_not_taken_for_another(page: Page):
    opened = hashlib.sha256(notebook("1")).hexdigest()
    await page.seat.save(page.path, "saved a moment ago", inset_save="its own", inset_replaces=opened)

    answer = await page.leave("typed at last", based_on=notebook("1"), unanswered=["its own"])

    assert answer.status_code == 204
    assert await page.seat.text(page.path) == notebook("typed at last").decode()
    versions = page.seat.service.notebooks[page.notebook_id].versions
    assert [(version.content, version.parent) for version in versions[1:]] == [
        (notebook("saved a moment ago"), 1),
        (notebook("typed at last"), 2),
    ]


@pytest.mark.parametrize("more", [{"inset_save": "another's"}, {}])
async def test_a_page_that_goes_away_during_a_save_that_another_overtook_overwrites_nothing(page: Page, more: dict):
    opened, saved = (hashlib.sha256(notebook(source)).hexdigest() for source in ("1", "saved a moment ago"))
    await page.seat.save(page.path, "saved a moment ago", inset_save="its own", inset_replaces=opened)
    await page.seat.save(page.path, "another page's", **more, **({"inset_replaces": saved} if more else {}))

    await page.leave("typed at last", based_on=notebook("1"), unanswered=["its own"])

    assert await page.seat.text(page.path) == notebook("another page's").decode()
    assert page.seat.service.notebooks[page.notebook_id].newest.content == notebook("typed at last")


async def test_what_nobody_knows_the_beginning_of_is_left_to_jupyters_own_question(page: Page):
    answers = [
        await page.keep("mine", based_on=b"something else"),
        await page._post("keep", {"path": page.path, "content": 7, "hash": "x"}),
        await page.leave("mine", based_on=b"something else"),
        await page.leave("mine", based_on=notebook("1"), unanswered=7),
        await page._post("keep", {"path": "work/other.ipynb", "content": json.loads(notebook("x")), "hash": "x"}),
    ]

    assert [answer.status_code for answer in answers] == [404, 400, 404, 400, 404]
    assert len(page.seat.service.notebooks[page.notebook_id].versions) == 1
