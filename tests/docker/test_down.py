"""`make down`, and what is there when everything is started again."""

import asyncio

import httpx
import pytest
from compose import down

from tests.docker.deployment import Deployment
from tests.docker.sessions import reached
from tests.docker.traffic import Answers, Author, Caller, Typist
from tests.service.conftest import document
from tests.support.hosts import TestHost

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


async def test_what_was_saved_outlives_a_stop_of_everything(
    running: Deployment, host: TestHost, api: httpx.AsyncClient
) -> None:
    caller = Caller(running, Answers())
    ada = Typist(Author("ada", caller, running, host), caller)
    await ada.open()
    saved = await ada.put(document("1"))
    assert saved.is_success, saved.text
    await caller.aclose()

    await asyncio.to_thread(down, running.composed)

    assert running.docker("ps", "--all", "--quiet", "--filter", f"name=^{running.name}") == ""
    assert running.docker("network", "ls", "--quiet", "--filter", f"name=^{running.name}") == ""
    await asyncio.to_thread(running.composed.start)
    stored = await api.get(f"/v1/notebooks/{ada.notebook_id}/content")
    assert "".join(stored.json()["cells"][0]["source"]) == "1"
    session = (await api.post("/v1/sessions", json={"notebook_id": ada.notebook_id})).json()["id"]
    await reached(api, session, "ready")
