"""What the service says of sessions reaches their browsers at once, and after an outage."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1

from tests.fakes.fake_service import FakeService
from tests.singleuser.conftest import SEAT, Seat, notebook, started
from tests.singleuser.test_entry import Browser
from tests.singleuser.test_pages import Page, closed, open_page
from tests.support.kernels import execution, run_in_kernel
from tests.support.real_hub import RealHub
from tests.support.websocket import websocket

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHER_SEAT = "seat-002"
"""For servers that a test starts and stops."""


@pytest_asyncio.fixture(loop_scope="session")
async def page(seat: Seat) -> AsyncIterator[Page]:
    async with open_page(seat, Browser(seat)) as page:
        await followed(seat.service, seat.server_id)
        yield page


async def followed(service: FakeService, server_id: str) -> None:
    await service.until(lambda: server_id in service.streams.values(), within=20)


async def test_a_session_that_is_over_has_neither_websockets_nor_api(page: Page):
    begun = time.monotonic()
    page.seat.service.end_session(page.notebook_id)

    assert await closed(page.kernel)
    assert await closed(page.events)
    assert time.monotonic() - begun < 5
    assert (page.kernel.close_code, page.events.close_code) == (4401, 4401)
    assert (await page.browser.request("GET", "api/status")).status_code == 403
    assert (await page.browser.page(f"notebooks/{page.path}")).status_code == 401


@pytest.mark.parametrize("protocol", [None, "v1.kernel.websocket.jupyter.org"], ids=["json", "v1"])
async def test_what_a_page_sends_after_it_was_cut_is_not_even_read(page: Page, tmp_path: Path, protocol: str | None):
    seat, written = page.seat, tmp_path / "written"
    kernel, cookies = page.kernel_id, page.browser.cookies
    async with websocket(seat.hub, SEAT, f"api/kernels/{kernel}/channels", cookies=cookies, protocol=protocol) as late:
        late.transport.pause_reading()  # it does not hear that it is over, or does not care
        faults = seat.hub.log().count("Uncaught exception")
        seat.service.end_session(page.notebook_id)
        assert await closed(page.kernel)

        request = execution(f"open({str(written)!r}, 'w')")
        in_pieces = serialize_msg_to_ws_v1(request, "shell", pack=lambda piece: json.dumps(piece).encode())
        await late.send(in_pieces if protocol else json.dumps(request))

        # A kernel runs what it is sent in turn.
        assert await run_in_kernel(seat.hub, SEAT, seat.token, kernel, "print('later')") == "later\n"
        late.transport.resume_reading()
        assert await closed(late)
    assert not written.exists()
    assert seat.hub.log().count("Uncaught exception") == faults


async def test_only_the_session_that_is_over_goes(page: Page):
    seat = page.seat
    async with open_page(seat, Browser(seat)) as elsewhere, open_page(seat, page.browser) as beside:
        seat.service.end_session(page.notebook_id)

        assert await closed(page.kernel)
        for other in (elsewhere, beside):
            assert (await other.browser.page(f"notebooks/{other.path}")).status_code == 200
            await (await other.kernel.ping())
            await (await other.events.ping())
        # The browser's one entry holds by its other session; with that it goes, too.
        seat.service.end_session(beside.notebook_id)
        assert await closed(page.events)
        assert (await page.browser.page("lab")).status_code == 401
        assert (await elsewhere.browser.page("lab")).status_code == 200


async def test_a_session_that_ends_with_its_pages_asked_is_cut_when_their_time_is_up(page: Page):
    begun = time.monotonic()
    page.seat.service.end_session(page.notebook_id, within=8)

    assert (await page.browser.page("lab")).status_code == 200
    assert await closed(page.events, within=20)
    assert 7.9 < time.monotonic() - begun < 20


async def test_what_ended_while_the_service_was_away_is_cut_when_it_is_back(page: Page):
    service = page.seat.service
    async with open_page(page.seat, Browser(page.seat)) as other:
        service.down = True
        service.break_streams()
        await service.until(lambda: page.seat.server_id not in service.streams.values())
        service.end_session(page.notebook_id)
        calls = service.calls.count("control")
        await service.until(lambda: service.calls.count("control") > calls)
        assert (await page.browser.page("lab")).status_code == 200

        service.down = False

        assert await _out(page.browser, within=15)
        assert await closed(page.events)
        assert (await other.browser.page("lab")).status_code == 200


async def test_a_ticket_that_was_redeemed_just_before_the_end_opens_nothing_after_it(page: Page):
    seat = page.seat
    notebook_id, path = await seat.load("1")
    seat.service.end_session(notebook_id)
    # As if the answer to it had been on the way.
    ticket = seat.ticket(notebook_id, path)
    seat.service.end_session(page.notebook_id)
    assert await closed(page.events)

    late = await Browser(seat).enter(ticket)

    assert (late.status_code, late.json()["code"]) == (403, "session-over")


async def test_a_credential_that_is_refused_is_renewed(page: Page):
    service = page.seat.service
    service.forget_credentials()
    service.break_streams()
    await service.until(lambda: page.seat.server_id not in service.streams.values())

    await followed(service, page.seat.server_id)
    service.end_session(page.notebook_id)

    assert await closed(page.events)


async def test_a_service_that_knows_no_such_stream_is_asked_rarely_and_harms_nothing(
    hub: RealHub, service: FakeService
):
    service.tells_control = False
    try:
        async with started(hub, service, OTHER_SEAT) as seat:
            await service.until(lambda: seat.server_id in service.asked_in_vain)
            notebook_id, path = await seat.load("1")
            await seat.save(path, "2")
            await service.until(lambda: service.notebooks[notebook_id].newest.content == notebook("2"))
        assert service.asked_in_vain.count(seat.server_id) == 1
    finally:
        service.tells_control = True


async def test_stopping_the_server_ends_its_stream(hub: RealHub, service: FakeService):
    server_id = await hub.start_server(OTHER_SEAT)
    await followed(service, server_id)

    await hub.stop_server(OTHER_SEAT)

    await service.until(lambda: server_id not in service.streams.values())
    assert "Task was destroyed" not in hub.log()
    assert "never retrieved" not in hub.log()


async def _out(browser: Browser, *, within: float) -> bool:
    async with asyncio.timeout(within):
        while (await browser.page("lab")).status_code != 401:
            await asyncio.sleep(0.05)
    return True
