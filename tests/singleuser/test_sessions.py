"""A notebook's kernel, which starts when its page's browser comes in and not only when that page asks for it."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import zmq
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from inset_bridge.sessions import NotebookSessions
from tests.fakes.fake_service import FakeService
from tests.singleuser.conftest import Seat, notebook, started
from tests.singleuser.test_entry import Browser
from tests.support.kernels import run_in_kernel, start_kernel
from tests.support.real_hub import RealHub

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEAT, NO_RUN = "seat-005", "seat-002"


@pytest_asyncio.fixture(loop_scope="session")
async def fresh(hub: RealHub, service: FakeService) -> AsyncIterator[Seat]:
    async with started(hub, service, SEAT, may=["edit", "run"]) as seat:
        yield seat


@pytest_asyncio.fixture(loop_scope="session")
async def without_run(hub: RealHub, service: FakeService) -> AsyncIterator[Seat]:
    async with started(hub, service, NO_RUN, may=["edit"]) as seat:
        yield seat


async def _enter(seat: Seat, notebook_id: str, path: str, *, name: str = SEAT) -> None:
    answer = await Browser(seat).enter(seat.ticket(notebook_id, path, next=f"/user/{name}/notebooks/{path}"))
    assert answer.status_code == 200, answer.text


async def _kernels(seat: Seat) -> dict[str, str]:
    """The kernels' ids, by their notebook, with those that are just being started."""
    return {one["path"]: one["kernel"]["id"] for one in (await seat.http.get("api/sessions")).json()}


async def test_a_page_finds_the_kernel_that_started_when_its_browser_came_in(fresh: Seat):
    notebook_id, path = await fresh.load("1")
    assert await _kernels(fresh) == {}

    await _enter(fresh, notebook_id, path)

    # At once: whoever looks while it starts is told when it is there, and does not start another.
    kernel = (await _kernels(fresh))[path]
    assert await start_kernel(fresh.http, path) == kernel
    where = "import os; print(os.getcwd(), os.environ['JPY_SESSION_NAME'])"
    folder, name = (await run_in_kernel(fresh.hub, SEAT, fresh.token, kernel, where)).split()
    assert folder.endswith(f"/work/{notebook_id}")
    assert name == f"{folder}/analysis.ipynb"


async def test_one_whose_user_ended_it_is_not_started_again_when_his_browser_comes_again(fresh: Seat):
    notebook_id, path = await fresh.load("1")
    await _enter(fresh, notebook_id, path)
    [session] = (await fresh.http.get("api/sessions")).json()
    assert (await fresh.http.delete(f"api/sessions/{session['id']}")).status_code == 204

    await _enter(fresh, notebook_id, path)
    assert await _kernels(fresh) == {}


async def test_the_end_of_the_session_takes_one_that_has_just_begun_to_start(fresh: Seat):
    notebook_id, path = await fresh.load("1")
    await _enter(fresh, notebook_id, path)

    assert (await fresh.http.delete(f"inset/api/documents/{notebook_id}?ask_page=false")).status_code == 200

    assert await _kernels(fresh) == {}
    assert (await fresh.http.get("api/kernels")).json() == []


@pytest.mark.parametrize("kernelspec", [{"name": "ir", "display_name": "R", "language": "R"}, None, 7])
async def test_a_kernel_that_is_not_named_or_not_there_is_left_to_the_page(fresh: Seat, kernelspec: object):
    content = json.loads(notebook("1"))
    content["metadata"]["kernelspec"] = kernelspec
    path = "work/n/r.ipynb"
    await fresh.put_document("n", path, version=1, content=json.dumps(content).encode())

    await _enter(fresh, "n", path)

    assert (await fresh.http.get("api/sessions")).json() == []
    assert (await fresh.http.get("api/kernels")).json() == []


async def test_who_may_not_run_has_none_started(without_run: Seat):
    notebook_id, path = await without_run.load("1")

    await _enter(without_run, notebook_id, path, name=NO_RUN)

    assert await _kernels(without_run) == {}
    assert (await without_run.http.get("api/kernels")).json() == []


async def test_a_kernels_sockets_try_again_before_it_is_missed():
    kernels = AsyncMappingKernelManager()

    NotebookSessions(kernel_manager=kernels)

    with kernels.context.socket(zmq.DEALER) as socket:
        assert socket.getsockopt(zmq.RECONNECT_IVL) == 10
