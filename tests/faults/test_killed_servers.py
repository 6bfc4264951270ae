"""A real hub and its servers die in the middle of saves: what Jupyter had acknowledged is in the database."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psutil
import pytest
from pydantic import SecretStr

from inset.documents import parsed_document
from tests.faults.replica import Replica
from tests.service.conftest import document, until
from tests.support.real_hub import RealHub, free_ports, real_hub

SEED = int(os.environ.get("INSET_FAULT_SEED", "2026"))
KILLS = int(os.environ.get("INSET_FAULT_KILLS", "3"))
"""Of the server, one session after the other. `make soak` takes more."""


@pytest.fixture
def service_port() -> int:
    return free_ports(1)[0]


@pytest.fixture
async def real(tmp_path, service_port) -> AsyncIterator[RealHub]:
    async with real_hub(tmp_path / "real", {"INSET_SERVICE_URL": f"http://127.0.0.1:{service_port}"}) as hub:
        yield hub


@pytest.fixture
def settings(settings, real):
    hub = {"token": SecretStr(real.token), "api_url": real.api_url, "proxy_url": real.bind_url, "seats": 7}
    return settings.model_copy(update={"hub": settings.hub.model_copy(update=hub)})


@pytest.fixture
async def service(new_replica, service_port) -> Replica:
    replica = new_replica(service_port)
    await replica.start()
    return replica


@pytest.fixture
async def client(service, host) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=service.url, headers=host.bearer("ada"), timeout=60) as client:
        yield client


class Typist:
    """Saves inside Jupyter, again and again, as a page does; each content says which save it is.

    `written` is the last one that Jupyter has acknowledged, `begun` the last one it was sent.
    """

    def __init__(self, jupyter: httpx.AsyncClient, notebook_id: str, *, after: int = 0) -> None:
        self._jupyter = jupyter
        self._path = f"api/contents/work/{notebook_id}/Analysis.ipynb"
        self.begun = self.written = after

    async def save(self) -> None:
        self.begun += 1
        body = {"type": "notebook", "format": "json", "content": document(str(self.begun))}
        (await self._jupyter.put(self._path, json=body)).raise_for_status()
        self.written = self.begun

    async def save_until_it_dies(self) -> None:
        while True:
            try:
                await self.save()
            except (httpx.HTTPStatusError, httpx.TransportError):
                return
            await asyncio.sleep(0.02)


async def opened(client: httpx.AsyncClient, notebook_id: str) -> dict[str, Any]:
    session = (await client.post("/v1/sessions", json={"notebook_id": notebook_id})).json()
    return await until(client, session["id"], "ready")


async def stored(client: httpx.AsyncClient, notebook_id: str) -> int:
    """Which save the notebook's current version is, after a check that it is whole."""
    answer = await client.get(f"/v1/notebooks/{notebook_id}/content")
    source = "".join(answer.json()["cells"][0]["source"])
    assert answer.content == parsed_document(document(source)).content
    return int(source)


async def test_what_jupyter_acknowledged_before_its_server_was_killed_is_stored(real, client, host, capsys):
    chance = random.Random(SEED)
    notebook = (await client.post("/v1/notebooks", json={"name": "Analysis", "content": document("0")})).json()
    session = await opened(client, notebook["id"])
    written = 0
    for kill in range(KILLS):
        client.headers.update(host.bearer("ada"))  # which lasts five minutes; many kills take longer
        [(seat, process)] = _servers(real)
        async with real.seat(seat, token=await real.mint_token(seat)) as jupyter:
            typist = Typist(jupyter, notebook["id"], after=written)
            await typist.save()
            saving = asyncio.create_task(typist.save_until_it_dies())
            await asyncio.sleep(chance.uniform(0, 0.6))

            process.send_signal(signal.SIGKILL)
            if kill % 2 == 0:
                # As a container's disk, which goes with it: there is the database alone. Else it is sent what was left.
                (real.data / "seats" / seat).rename(real.data / f"gone-{kill}")

            await saving
        failed = await until(client, session["id"], "failed")
        assert failed["failure"]["code"] == "server-died"
        session = await opened(client, notebook["id"])
        written = await stored(client, notebook["id"])
        # The one that was under way may have been written, too.
        assert typist.written <= written <= typist.begun
    history = (await client.get(f"/v1/notebooks/{notebook['id']}/versions")).json()["items"]
    assert not [version for version in history if version["aside"]], "nobody else has saved"
    with capsys.disabled():
        print(f"\nkilled servers: {KILLS} kills, {written} saves acknowledged by Jupyter, lost: 0")


async def test_saves_reach_the_database_while_the_hub_is_killed_and_after_it_is_back(real, client):
    notebook = (await client.post("/v1/notebooks", json={"name": "Analysis", "content": document("0")})).json()
    session = await opened(client, notebook["id"])
    [(seat, _)] = _servers(real)
    async with real.seat(seat, token=await real.mint_token(seat)) as jupyter:
        typist = Typist(jupyter, notebook["id"])
        await typist.save()

        await real.kill()
        await typist.save()

        async with asyncio.timeout(60):
            while await stored(client, notebook["id"]) < typist.written:
                await asyncio.sleep(0.1)
        await real.start()
        await typist.save()

    assert (await client.post(f"/v1/sessions/{session['id']}/save")).status_code == 200
    assert await stored(client, notebook["id"]) == typist.written
    assert (await client.get(f"/v1/sessions/{session['id']}")).json()["state"] == "ready"


def _servers(real: RealHub) -> list[tuple[str, psutil.Process]]:
    """The single-user servers that this test's own hub has started, by seat."""
    found = []
    for process in psutil.process_iter(["environ", "cmdline"]):
        environ = process.info["environ"] or {}
        if environ.get("JUPYTERHUB_API_URL") == real.api_url and "inset_bridge" in (process.info["cmdline"] or []):
            found.append((environ["JUPYTERHUB_USER"], process))
    return found
