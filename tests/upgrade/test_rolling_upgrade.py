"""Replicas of the previous release work on beside new ones, on the new schema, until they are replaced."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.fake_hub import SERVICE_TOKEN, FakeHub
from tests.faults.ledger import exact
from tests.faults.replica import Replica
from tests.service.conftest import document, until
from tests.support.hosts import TestHost
from tests.support.real_hub import free_ports
from tests.support.serving import served
from tests.upgrade import previous

pytestmark = pytest.mark.each_database


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub(seats=7)


@pytest.fixture
async def hub_settings(hub: FakeHub) -> AsyncIterator[dict[str, str]]:
    async with served(hub.app) as url:
        yield {
            "INSET_HUB__TOKEN": SERVICE_TOKEN,
            "INSET_HUB__API_URL": f"{url}/hub/api",
            "INSET_HUB__PROXY_URL": url,
            "INSET_HUB__SEATS": "7",
        }


async def test_an_old_replica_serves_on_while_the_schema_is_new_and_beside_a_new_replica(
    old: Replica, environment: dict[str, str], client: httpx.AsyncClient, hub: FakeHub, host: TestHost, tmp_path: Path
) -> None:
    hub.service = client
    before, _ = await _open(client)
    await _save(hub, before, "before")

    await previous.inset(environment, "db upgrade")

    assert (await client.get("/readyz")).status_code == 200
    await _save(hub, before, "at the new schema")
    new = Replica(environment, free_ports(1)[0], tmp_path / "new.log")
    await new.start()
    try:
        async with httpx.AsyncClient(base_url=new.url, headers=client.headers, timeout=60) as other:
            # What one release has opened, the other knows, saves and closes.
            by_old, by_new = await asyncio.gather(_open(client), _open(other))
            for writer in (client, other):
                hub.service = writer
                for session in (before, by_old[0], by_new[0]):
                    await _save(hub, session, f"by {writer.base_url}")
            for session, closer, follower in ((by_old[0], other, client), (by_new[0], client, other)):
                await closer.delete(f"/v1/sessions/{session['id']}")
                await until(follower, session["id"], "ended")
            # Then the old one leaves, and what it had opened goes on.
            await old.stop()
            hub.service = other
            await _save(hub, before, "by the new one alone")
            await other.delete(f"/v1/sessions/{before['id']}")
            await until(other, before["id"], "ended")
            assert set(Counter(hub.started).values()) == {1}
            for session, number in ((before, 6), (by_old[0], 3), (by_new[0], 3)):
                history = (await other.get(f"/v1/notebooks/{session['notebook_id']}/versions")).json()["items"]
                assert [version["number"] for version in history] == list(range(number, 0, -1))
                assert not any(version["aside"] for version in history)
    finally:
        await new.stop()
    assert "All is as it should be." in await previous.inset(environment, "db check")
    assert "Traceback" not in (tmp_path / "old.log").read_text()


async def _open(client: httpx.AsyncClient) -> tuple[dict[str, Any], dict[str, Any]]:
    made = await client.post("/v1/notebooks", json={"name": "N", "content": document("0")})
    assert made.status_code == 201, made.text
    opened = await client.post("/v1/sessions", json={"notebook_id": made.json()["id"]})
    assert opened.status_code == 202, opened.text
    return await until(client, opened.json()["id"], "ready"), made.json()


async def _save(hub: FakeHub, session: dict[str, Any], text: str) -> None:
    """Have Jupyter save, and see it stored whole."""
    content = exact(document(text))
    [(seat, path)] = [
        (seat, held["path"])
        for seat, server in hub.servers.items()
        for id, held in server.documents.items()
        if id == session["notebook_id"]
    ]
    saved = await hub.save_in_jupyter(path, content.decode(), seat=seat)
    assert saved.status_code == 200, saved.text
    assert saved.json()["sha256"] == hashlib.sha256(content).hexdigest()
