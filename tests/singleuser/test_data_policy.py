"""A restricted server: without the handlers that hand files out, and without those who refuse cookies."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from inset_bridge.settings import Settings
from tests.fakes.fake_service import FakeService
from tests.singleuser.conftest import HOST_ORIGIN, Seat, started
from tests.singleuser.test_entry import Browser
from tests.singleuser.test_policy import visit
from tests.support.real_hub import RealHub

pytestmark = pytest.mark.asyncio(loop_scope="session")

RESTRICTED = "seat-005"
ENVIRONMENT = {
    "INSET_SERVICE_URL": "http://x",
    "JUPYTERHUB_SERVICE_PREFIX": "/user/x/",
    "JUPYTERHUB_API_TOKEN": "x",
    "INSET_MAY": "edit run download terminals",
}


async def test_the_policy_alone_takes_what_lets_data_out():
    restricted = Settings.from_env({**ENVIRONMENT, "INSET_DATA_POLICY": "restricted"})
    unknown = Settings.from_env({**ENVIRONMENT, "INSET_DATA_POLICY": "stricter yet"})
    opened = Settings.from_env({**ENVIRONMENT, "INSET_DATA_POLICY": "open"})

    for settings in (restricted, unknown):
        assert (settings.restricted, settings.may, settings.behind_edge) == (True, {"edit", "run"}, True)
    assert (opened.restricted, len(opened.may), opened.behind_edge) == (False, 4, False)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def restricted(hub: RealHub, service: FakeService) -> AsyncIterator[Seat]:
    # As no service of ours would start it: with all capabilities.
    async with started(hub, service, RESTRICTED, origins=[HOST_ORIGIN], data_policy="restricted") as seat:
        yield seat


async def test_a_browser_gets_its_own_notebook_and_no_other_file(restricted: Seat):
    visitor = await visit(restricted, RESTRICTED)
    other_id, other_path = await restricted.load("2")

    assert await visitor.status("GET", f"api/contents/{visitor.path}") == 200
    assert await visitor.status("GET", f"notebooks/{visitor.path}") == 200
    for method, path in (
        ("GET", f"api/contents/{other_path}"),
        ("PUT", f"api/contents/work/{visitor.notebook_id}/x.txt"),
        ("POST", f"api/contents/work/{visitor.notebook_id}"),
        ("GET", f"files/{visitor.path}"),
        ("GET", f"view/{visitor.path}"),
        ("GET", f"nbconvert/html/{visitor.path}"),
        ("POST", "nbconvert/html"),
        ("POST", "api/terminals"),
    ):
        assert await visitor.status(method, path, **({} if method == "GET" else {"json": {}})) in (403, 404), path
    assert other_id != visitor.notebook_id


async def test_what_hands_files_out_is_not_there_for_anybody(restricted: Seat):
    _, path = await restricted.load("1")

    for gone in (f"files/{path}", f"view/{path}", f"nbconvert/html/{path}", "api/nbconvert", "api/terminals"):
        assert (await restricted.http.get(gone)).status_code == 404, gone
    assert (await restricted.http.get(f"api/contents/{path}")).status_code == 200


async def test_a_browser_that_refuses_cookies_is_told_so(restricted: Seat):
    notebook_id, path = await restricted.load("1")
    ticket = restricted.ticket(notebook_id, path, next=f"/user/{RESTRICTED}/notebooks/{path}")

    entered = await Browser(restricted, keeps_cookies=False).enter(ticket)

    assert entered.json()["needs_cookies"] is True
