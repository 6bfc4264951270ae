"""A server that is started ahead: framed by nobody until it has a user, and with a kernel for his first notebook."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import pytest_asyncio

from tests.fakes.fake_service import FakeService
from tests.singleuser.conftest import HOST_ORIGIN, Seat, notebook, started
from tests.support.kernels import run_in_kernel, start_kernel
from tests.support.real_hub import RealHub

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEAT = "seat-005"
WHERE = "import os; print(os.getcwd(), os.getpid(), os.environ.get('JPY_SESSION_NAME'))"
Load = Callable[..., Coroutine[Any, Any, tuple[str, str]]]


@pytest_asyncio.fixture(loop_scope="session")
async def ahead(hub: RealHub, service: FakeService) -> AsyncIterator[Seat]:
    async with started(hub, service, SEAT, origins=[], ahead=True) as seat:
        async with asyncio.timeout(60):
            while not (await seat.http.get("api/kernels")).json():
                await asyncio.sleep(0.1)
        yield seat


async def _load(seat: Seat, content: bytes, **credentials: str) -> tuple[str, str]:
    """Load a notebook as the service does; gives its id and path."""
    notebook_id = seat.service.add_notebook(content)
    if credentials:
        seat.service.pass_credentials(notebook_id, seat.server_id, **credentials)
    path = f"work/{notebook_id}/analysis.ipynb"
    body = {"path": path, "version": 1, "sha256": "", "content": content.decode(), "origins": [HOST_ORIGIN]}
    answer = await seat.http.put(f"inset/api/documents/{notebook_id}", json=body)
    assert answer.status_code == 200, answer.text
    return notebook_id, path


async def test_the_first_notebook_gets_the_kernel_that_runs_as_if_it_had_been_started_for_it(ahead: Seat):
    [kernel] = (await ahead.http.get("api/kernels")).json()

    async def run(code: str) -> str:
        return (await run_in_kernel(ahead.hub, SEAT, ahead.token, kernel["id"], code)).strip()

    notebook_id, path = await _load(ahead, notebook("1"), warehouse="the-secret")

    [session] = (await ahead.http.get("api/sessions")).json()
    assert (session["path"], session["kernel"]["id"]) == (path, kernel["id"])
    # The page finds it by its path, and starts none.
    assert await start_kernel(ahead.http, path) == kernel["id"]
    folder, process, _ = (await run(WHERE)).split()
    assert folder.endswith(f"/work/{notebook_id}")
    read = "import json; print(json.load(open(os.environ['INSET_CREDENTIALS']))['warehouse']['value'])"
    assert await run(read) == "the-secret"

    # One that is started anew is one of this notebook's in every respect.
    assert (await ahead.http.post(f"api/kernels/{kernel['id']}/restart")).status_code == 200
    again, other_process, name = (await run(WHERE)).split()
    assert (again, name) == (folder, f"{folder}/analysis.ipynb")
    assert other_process != process
    assert await run(read.replace("import json", "import json, os")) == "the-secret"

    # The next notebook has one of its own, and the end of the first takes its.
    _, second = await _load(ahead, notebook("2"))
    other = await start_kernel(ahead.http, second)
    assert other != kernel["id"]
    await ahead.http.delete(f"inset/api/documents/{notebook_id}")
    assert [one["id"] for one in (await ahead.http.get("api/kernels")).json()] == [other]


async def test_a_notebook_of_another_language_has_its_own_started(ahead: Seat):
    content = json.loads(notebook("1"))
    content["metadata"]["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}

    notebook_id, path = await _load(ahead, json.dumps(content).encode())

    assert (await ahead.http.get("api/kernels")).json() == []
    assert (await ahead.http.get(f"api/contents/{path}")).status_code == 200
    assert (await ahead.http.delete(f"inset/api/documents/{notebook_id}")).status_code == 200


async def test_it_is_framed_by_nobody_until_it_has_a_user(ahead: Seat):
    async def ancestors() -> list[str]:
        answer = await ahead.anonymous.get("inset/enter")
        [policy] = [one for one in answer.headers["Content-Security-Policy"].split("; ") if "ancestors" in one]
        return policy.split()[1:]

    assert await ancestors() == [ahead.hub.seat_origin(SEAT)]

    await _load(ahead, notebook("1"))

    assert await ancestors() == [HOST_ORIGIN, ahead.hub.seat_origin(SEAT)]


@pytest.mark.parametrize("origins", ["http://a", ["*"], ["http://a b"], [7], ["http://a; script-src *"]])
async def test_origins_that_are_none_are_refused(seat: Seat, origins: Any):
    body = {"path": "work/n/a.ipynb", "version": 1, "sha256": "", "content": "{}", "origins": origins}

    answer = await seat.http.put("inset/api/documents/n", json=body)

    assert answer.status_code == 400
