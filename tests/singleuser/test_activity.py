"""What a real server takes for somebody's work, and what it does not: the service's own traffic, and an open page's."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import pytest_asyncio
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager

from inset_bridge.activity import LOOK_INTERVAL, Activity
from tests.singleuser.conftest import Seat, notebook
from tests.singleuser.test_entry import Browser
from tests.singleuser.test_pages import Page, open_page
from tests.support.kernels import run_in_kernel

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEAT = "seat-001"


@pytest_asyncio.fixture(loop_scope="session")
async def page(seat: Seat) -> AsyncIterator[Page]:
    async with open_page(seat, Browser(seat)) as page:
        yield page


def _xsrf(page: Page) -> dict[str, str]:
    return {"X-XSRFToken": page.browser.cookies["_xsrf"]}


async def _told_by(seat: Seat, moment: float, *, within: float = 4 * LOOK_INTERVAL) -> None:
    """Wait until the service has heard of work after a moment."""
    begun, heard = time.time(), len(seat.service.activity)
    async with asyncio.timeout(within):
        while True:
            for server_id, idle_for in seat.service.activity[heard:]:
                if server_id == seat.server_id and time.time() - idle_for > moment - 1:
                    return
            assert time.time() - begun < within
            await asyncio.sleep(0.1)


async def test_code_that_runs_is_work_from_its_beginning_to_its_end(page: Page):
    seat = page.seat
    running = asyncio.create_task(
        run_in_kernel(seat.hub, SEAT, seat.token, page.kernel_id, "import time; time.sleep(40)", within=120)
    )
    await asyncio.sleep(1)
    # Twice: the second time because it still runs, although nothing was printed or asked meanwhile.
    await _told_by(seat, time.time())
    await _told_by(seat, time.time())
    await running


async def test_the_services_own_traffic_and_an_open_pages_polling_are_no_work(page: Page):
    seat, quiet_for = page.seat, 2.5 * LOOK_INTERVAL
    # What the opening of the page was has been told.
    await _told_by(seat, time.time() - 30)
    await asyncio.sleep(2 * LOOK_INTERVAL)
    heard, begun = len(seat.service.activity), time.monotonic()

    while time.monotonic() - begun < quiet_for:
        # The service, by its token: a look, a load, a flush that asks the page.
        assert (await seat.http.get("api/contents/work")).status_code == 200
        assert (await seat.http.get("api/status")).status_code == 200
        assert (await seat.flush(page.path)).status_code == 200
        await seat.load("2", name="beside")
        # The page, by its cookie: what JupyterLab asks every ten seconds, and its answer to the service.
        for polled in ("api/kernels", "api/sessions", "api/kernelspecs", "api/contents/work?content=1"):
            assert (await page.browser.request("GET", polled, headers=_xsrf(page))).status_code == 200
        await page.kernel.ping()
        await page.absent(request="asked-by-the-service")
        await asyncio.sleep(1)

    assert seat.service.activity[heard:] == []


async def test_a_save_by_the_page_is_work(page: Page):
    moment = time.time()
    body = {"type": "notebook", "format": "json", "content": json.loads(notebook("2"))}
    answer = await page.browser.request("PUT", f"api/contents/{page.path}", json=body, headers=_xsrf(page))
    assert answer.status_code == 200, answer.text
    await _told_by(page.seat, moment)


@pytest.mark.parametrize(
    ("method", "path", "work"),
    [
        ("GET", "notebooks/work/n/a.ipynb", True),
        ("GET", "lab", True),
        ("GET", "api/contents/work", False),
        ("GET", "api/events/subscribe", False),
        ("GET", "static/notebook/main.js", False),
        ("PUT", "api/contents/work/n/a.ipynb", True),
        ("POST", "api/sessions", True),
        ("POST", "inset/api/flush", False),
        ("POST", "inset/api/absent", False),
        ("POST", "inset/api/keep", True),
    ],
)
async def test_which_requests_of_a_browser_are_work(method: str, path: str, work: bool):
    activity = Activity()
    activity._last = 0.0
    activity.requested(method, path)
    assert (activity._last > 0) is work


async def test_a_kernel_that_is_just_starting_ends_no_report():
    """Jupyter has it in its list before it knows when it was last at work."""
    kernels = AsyncMappingKernelManager()
    kernels._kernels["starting"] = ServerKernelManager()
    server, service = SimpleNamespace(kernel_manager=kernels, web_app=SimpleNamespace(settings={})), Heard()

    reporting = asyncio.create_task(Activity().run(service, server, log=logging.getLogger(__name__)))
    await asyncio.wait_for(service.told.wait(), 5)

    assert not reporting.done()
    reporting.cancel()


class Heard:
    """A service that hears of it."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    async def active(self, *, idle_for: float) -> None:
        self.told.set()
