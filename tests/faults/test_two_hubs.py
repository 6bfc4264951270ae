"""Two real JupyterHubs behind one service: sessions are spread, one is drained while people work, one is killed."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from inset.cli import main
from inset.db import open_database
from inset.hosts import apply_hosts
from inset.schema import upgrade
from tests.faults.replica import Replica
from tests.service.conftest import document, events, until
from tests.support.hosts import TestHost, write_hosts_file
from tests.support.real_hub import RealHub, free_ports, real_hub

PATIENCE = 90
_NAMES = ("default", "north")


@dataclass
class Deployment:
    """A service on two hubs."""

    default: RealHub
    north: RealHub
    environment: Mapping[str, str]
    client: httpx.AsyncClient
    host: TestHost

    async def command(self, *arguments: str) -> None:
        """Run `inset …` as its operator does."""
        run = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "inset", *arguments, env={**os.environ, **self.environment}
        )
        assert await run.wait() == 0

    async def open(self, user: str, notebook_id: str | None = None) -> tuple[dict[str, Any], httpx.URL]:
        """Open a notebook for a user, a new one unless told; gives its ready session and the address of its server."""
        self.client.headers.update(self.host.bearer(user))
        if notebook_id is None:
            new = {"name": "N", "content": document(f"'of {user}'")}
            notebook_id = (await self.client.post("/v1/notebooks", json=new)).raise_for_status().json()["id"]
        opened = await self.client.post("/v1/sessions", json={"notebook_id": notebook_id})
        session = await until(self.client, opened.raise_for_status().json()["id"], "ready", "failed")
        assert session["state"] == "ready", session
        minted = await self.client.post(f"/v1/sessions/{session['id']}/iframe-url")
        return session, httpx.URL(minted.raise_for_status().json()["url"])


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    [port] = free_ports(1)
    url, key, database_url = f"http://127.0.0.1:{port}", tmp_path / "signing.pem", f"sqlite:///{tmp_path}/inset.db"
    host = TestHost(audience=url)
    main(["keygen", str(key)])
    async with AsyncExitStack() as stack:
        hubs = []
        for name in _NAMES:
            more = {"INSET_SERVICE_URL": url, "INSET_SEATS": "3", "INSET_HUB_TOKEN": f"service-token-of-{name}"}
            hubs.append(await stack.enter_async_context(real_hub(tmp_path / name, more)))
        await asyncio.to_thread(upgrade, database_url)
        async with open_database(database_url) as database:
            await apply_hosts(database, write_hosts_file(tmp_path / "hosts.toml", host))
        environment = {
            "INSET_PUBLIC_URL": url,
            "INSET_DATABASE_URL": database_url,
            "INSET_SIGNING_KEY_FILE": str(key),
            "INSET_CHECK_INTERVAL": "1",
        }
        for name, prefix, hub in zip(_NAMES, ("INSET_HUB__", "INSET_HUBS__NORTH__"), hubs, strict=True):
            environment |= {
                f"{prefix}TOKEN": f"service-token-of-{name}",
                f"{prefix}API_URL": hub.api_url,
                f"{prefix}PROXY_URL": hub.bind_url,
                f"{prefix}SEATS": "3",
            }
        replica = Replica(environment, port, tmp_path / "service.log")
        await replica.start()
        stack.push_async_callback(replica.stop)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60))
        yield Deployment(*hubs, environment, client, host)


async def test_sessions_are_spread_over_two_hubs_of_which_one_is_drained_and_one_is_killed(
    deployment: Deployment,
) -> None:
    default, north, client = deployment.default, deployment.north, deployment.client
    ada, her_url = await deployment.open("ada")
    _, of_mary = await deployment.open("mary")
    # Hers is at the other hub, in the seat of the same name.
    assert (her_url.netloc.decode(), of_mary.netloc.decode()) == (
        default.seat_host("seat-001"),
        north.seat_host("seat-001"),
    )
    grace, _ = await deployment.open("grace")
    joan, of_joan = await deployment.open("joan")
    assert of_joan.netloc.decode() == north.seat_host("seat-002")
    await _saved_in_jupyter(north, deployment, joan, "'live'")

    await deployment.command("hubs", "drain", "north", "--now")
    async with asyncio.timeout(PATIENCE):
        told = [(kind, data.get("reason")) async for kind, data in events(client, joan["id"])]
    assert told[-2:] == [("ending", "maintenance"), ("ended", "maintenance")]
    again, of_joan = await deployment.open("joan", joan["notebook_id"])

    assert of_joan.netloc.decode() == default.seat_host("seat-003")
    assert "'live'" in await _read_in_jupyter(default, again, "seat-003")
    await deployment.command("hubs", "resume", "north")

    await default.kill()
    late, of_late = await deployment.open("late")
    assert of_late.netloc.decode().endswith(f".nb.localhost:{north.port}")
    ready = (await client.get("/readyz")).raise_for_status().json()
    assert (ready["status"], [hub["reason"] for hub in ready["hubs"]]) == ("degraded", ["unreachable", None])
    await default.start()
    # The servers of the hub that was killed ran on.
    for user, session in (("ada", ada), ("grace", grace), ("joan", again), ("late", late)):
        saved = await client.post(f"/v1/sessions/{session['id']}/save", headers=deployment.host.bearer(user))
        assert saved.status_code == 200, (user, saved.text)


def _path(session: dict[str, Any]) -> str:
    return f"api/contents/work/{session['notebook_id']}/N.ipynb"


async def _saved_in_jupyter(hub: RealHub, deployment: Deployment, session: dict[str, Any], source: str) -> None:
    """Save the notebook in its server as a page does, and wait until the database has it."""
    content = {"type": "notebook", "format": "json", "content": document(source)}
    async with hub.seat("seat-002", token=await hub.mint_token("seat-002")) as seat:
        (await seat.put(_path(session), content=json.dumps(content))).raise_for_status()
    async with asyncio.timeout(PATIENCE):
        while (await deployment.client.get(f"/v1/sessions/{session['id']}")).json()["version"] != 2:
            await asyncio.sleep(0.1)


async def _read_in_jupyter(hub: RealHub, session: dict[str, Any], name: str) -> str:
    async with hub.seat(name, token=await hub.mint_token(name)) as seat:
        return (await seat.get(_path(session))).raise_for_status().text
