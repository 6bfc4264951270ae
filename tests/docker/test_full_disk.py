"""A server whose disk is full: what its page shows reaches the service all the same, and everybody is told."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.docker.deployment import Deployment
from tests.docker.sessions import reached
from tests.docker.traffic import Answers, Author, Caller, Typist
from tests.service.conftest import document
from tests.support.hosts import TestHost

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

FILLED = "cd && dd if=/dev/zero of=big bs=64k 2> /dev/null; test $(stat --format=%s big) -gt 1000000"


APPLY = """
export INSET_WEBHOOKS__NETWORKS="$(python /opt/inset/network_of.py "$INSET_DEMO_NETWORK_NAME")"
sed "$0" /secrets/service/demo.toml | inset hosts apply /dev/stdin
"""


@pytest.fixture
def allowed(running: Deployment) -> Iterator[None]:
    """The demo may have servers with a small disk."""
    running.inside("service", "sh", "-c", APPLY, """/^id = /a profiles = ["default", "small"]""")
    yield
    running.inside("service", "sh", "-c", APPLY, "")


@pytest.fixture
async def ada(running: Deployment, host: TestHost, api: httpx.AsyncClient, allowed: None) -> AsyncIterator[Typist]:
    """Ada in a session, on a server with a small disk. `api` ends it."""
    caller = Caller(running, Answers())
    typist = Typist(Author("ada", caller, running, host), caller, profile="small")
    await typist.open()
    yield typist
    await caller.aclose()


async def test_a_save_without_room_is_stored_by_the_service_and_the_page_is_told(
    running: Deployment, ada: Typist
) -> None:
    await saved(ada, 1)
    [seat] = running.seat_containers()
    running.docker("exec", seat, "sh", "-c", FILLED)

    refused = await ada.put(document("2"))

    assert refused.status_code == 507
    assert (
        "The disk of this notebook's server is full. What you see is stored all the same" in refused.json()["message"]
    )
    assert await ada.stored() == 2
    assert await ada.found() == 1, "the file is as it was"
    running.docker("exec", seat, "sh", "-c", "rm ~/big")
    await saved(ada, 3)
    assert await ada.history() == [0, 1, 2, 3]


async def test_a_notebook_for_which_there_is_no_room_fails_with_the_reason(
    running: Deployment, api: httpx.AsyncClient, ada: Typist
) -> None:
    [seat] = running.seat_containers()
    running.docker("exec", seat, "sh", "-c", FILLED)
    second = (await api.post("/v1/notebooks", json={"name": "Second"})).json()["id"]

    session = (await api.post("/v1/sessions", json={"notebook_id": second, "profile": "small"})).json()["id"]
    await reached(api, session, "failed")

    failure = (await api.get(f"/v1/sessions/{session}")).json()["failure"]
    assert failure["code"] == "disk-full"
    assert "no room" in failure["detail"]
    running.docker("exec", seat, "sh", "-c", "rm ~/big")
    session = (await api.post("/v1/sessions", json={"notebook_id": second, "profile": "small"})).json()["id"]
    await reached(api, session, "ready")


async def saved(typist: Typist, number: int) -> None:
    """Save, and wait until that is what is stored."""
    answer = await typist.put(document(str(number)))
    assert answer.is_success, answer.text
    async with asyncio.timeout(60):
        while await typist.stored() != number:
            await asyncio.sleep(0.1)
