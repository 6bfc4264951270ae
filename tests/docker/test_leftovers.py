"""Containers that the hub does not know any more: found and removed, with what they still owe, and never a live one."""

import asyncio
import json

import httpx
import pytest

from tests.docker.deployment import Deployment
from tests.docker.sessions import reached
from tests.service.conftest import document
from tests.support.hosts import TestHost

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

FORGET = """
import sqlite3
with sqlite3.connect("/data/jupyterhub.sqlite") as hub:
    [user] = hub.execute("SELECT id FROM users WHERE name = 'SEAT'").fetchone()
    hub.execute("DELETE FROM api_tokens WHERE user_id = ?", [user])
    hub.execute("DELETE FROM spawners WHERE user_id = ?", [user])
"""
"""What its database lacks of a seat after it was lost, or restored from before."""

START = """
import os, sys, urllib.request
settings = dict(line.strip().split("=", 1) for line in open("/secrets/service/settings.env") if "=" in line)
headers = {"Authorization": f"token {settings['INSET_HUB__TOKEN']}", "Content-Type": "application/json"}
body = b'{"user_options": {"server_id": "nobody-knows-it", "origins": [], "may": []}}'
url = "http://hub:8081/hub/api/users/SEAT/server"
print(urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=60).status)
"""


async def open_for(api: httpx.AsyncClient, name: str) -> tuple[str, str]:
    """Open a new notebook; gives its id and the session's."""
    notebook = (await api.post("/v1/notebooks", json={"name": name})).json()
    session = (await api.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    await reached(api, session["id"], "ready")
    return notebook["id"], session["id"]


def sweep(running: Deployment) -> str:
    # It exits with 1 where something is left.
    return running.inside("service", "sh", "-c", "inset sweep || true")


async def test_sweep_removes_what_belongs_to_nobody_beside_a_live_session(
    running: Deployment, api: httpx.AsyncClient
) -> None:
    _, session = await open_for(api, "Alive")
    [mine] = running.seat_containers()
    free = "seat-002" if mine.endswith("001") else "seat-001"
    before = running.inspected(mine)["Id"]

    # A container that somebody, or a hub whose database is gone, has started in a free seat.
    name = f"{running.name}-{free.replace('-', '-2d') if '2d' in mine else free}"
    told = ("--label", "inset.test=1", "--env", "INSET_SERVER_ID=nobody-knows-it", "--network", running.name)
    running.docker("run", "--detach", "--init", "--name", name, *told, running.image, "sleep", "600")
    assert name in running.seat_containers()

    assert f"a container is in {free}, which the hub does not know any more: swept" in sweep(running)

    assert running.seat_containers() == [mine]

    # A server that the hub was asked for behind the service's back.
    assert running.inside("service", "python", "-c", START.replace("SEAT", free)).strip() in ("201", "202")
    assert f"the hub runs a server in {free}, which is nobody's: swept" in sweep(running)

    assert running.seat_containers() == [mine]
    assert running.inspected(mine)["Id"] == before
    assert (await api.post(f"/v1/sessions/{session}/save")).status_code == 200


async def test_what_a_forgotten_server_owes_is_stored_before_its_container_goes(
    running: Deployment, api: httpx.AsyncClient, host: TestHost
) -> None:
    notebook, session = await open_for(api, "Forgotten")
    [container] = running.seat_containers()
    seat = f"seat-{container[-3:]}"
    # Written by no save of Jupyter's: nobody but the container has it.
    owed = json.dumps(document("only here"))
    script = "cat > $(find ~ -name '*.ipynb' -not -path '*/.ipynb_checkpoints/*')"
    running.composed.docker("exec", "--interactive", container, "sh", "-c", script, stdin=owed)

    running.inside("hub", "python", "-c", FORGET.replace("SEAT", seat))
    await asyncio.to_thread(running.docker, "restart", "--time", "20", running.container("hub"))

    await reached(api, session, "failed")
    async with asyncio.timeout(120):
        while await asyncio.to_thread(running.seat_containers):
            await asyncio.sleep(0.5)
    assert "only here" in (await api.get(f"/v1/notebooks/{notebook}/content")).text

    # The seat is as good as any, and nothing is left in it.
    await asyncio.to_thread(running.composed.until_well)
    _, again = await open_for(api, "After")
    assert (await api.post(f"/v1/sessions/{again}/save")).status_code == 200
