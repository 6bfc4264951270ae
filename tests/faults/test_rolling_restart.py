"""Replicas are restarted one after the other under load: no call fails, no event and no save is missing."""

import asyncio
import hashlib
from collections import Counter

import httpx
import pytest

from tests.faults.balancer import balanced
from tests.faults.ledger import Ledger, audit, exact
from tests.service.conftest import document, events

PATIENCE = 120


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


class Load:
    """Clients that insist on an answer to every call, the first time."""

    def __init__(self, http, host):
        self.http = http
        self.host = host
        self.done = asyncio.Event()
        self.ledger = Ledger()
        self.calls = self.sessions = 0

    async def call(self, method, path, user, **call):
        headers = {**self.host.bearer(user), **call.pop("headers", {})}
        answer = await self.http.request(method, path, headers=headers, **call)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        self.calls += 1
        return answer.json()

    async def create(self, user):
        made = await self.call("POST", "/v1/notebooks", user, json={"name": user, "content": document("0")})
        self.ledger.acknowledged[made["id"], 1] = made["sha256"]
        self.ledger.sent[made["id"]] = {made["sha256"]}
        return made["id"]

    async def write(self, user):
        """Save one version after the other."""
        notebook_id, base = await self.create(user), 1
        while not self.done.is_set():
            content = exact(document(f"{base}: " + "x" * 10_000))
            headers = {"If-Match": f'"{base}"'}
            digest = hashlib.sha256(content).hexdigest()
            self.ledger.sent[notebook_id].add(digest)
            stored = await self.call(
                "PUT", f"/v1/notebooks/{notebook_id}/content", user, headers=headers, content=content
            )
            base += 1
            assert (stored["version"], stored["sha256"]) == (base, digest)
            self.ledger.acknowledged[notebook_id, base] = digest

    async def come_and_go(self, user):
        """Open a session, wait until it is ready, close it, and again."""
        notebook_id = await self.create(user)
        while not self.done.is_set():
            session = await self.call("POST", "/v1/sessions", user, json={"notebook_id": notebook_id})
            await self.follow(user, session["id"], until="ready")
            await self.call("DELETE", f"/v1/sessions/{session['id']}", user)
            await self.follow(user, session["id"], until="ended")
            self.sessions += 1

    async def follow(self, user, session_id, *, until, after=0):
        """Give a session's events up to a kind of them, across as many streams as that takes."""
        heard = []
        async with asyncio.timeout(PATIENCE):
            while not heard or heard[-1][0] != until:
                async for kind, data in events(self.http, session_id, after=after, headers=self.host.bearer(user)):
                    assert kind != "failed", data
                    heard.append((kind, data))
                    after = data["id"]
                    if kind == until:
                        break
        return heard


async def test_a_rolling_restart_drops_no_call_no_event_and_no_save(new_replica, hub, host, capsys):
    replicas = [new_replica(INSET_SHUTDOWN_DELAY="8"), new_replica(INSET_SHUTDOWN_DELAY="8")]
    await asyncio.gather(*[replica.start() for replica in replicas])
    async with (
        balanced([replica.url for replica in replicas]) as (url, balancer),
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        hub.service = http
        load = Load(http, host)
        working = await load.create("worker")
        session = await load.call("POST", "/v1/sessions", "worker", json={"notebook_id": working})
        await load.follow("worker", session["id"], until="ready")
        seat = next(iter(hub.servers))
        path = hub.server(seat).documents[working]["path"]

        async def save_in_jupyter():
            while not load.done.is_set():
                text = exact(document(f"{load.calls}: in Jupyter")).decode()
                load.ledger.sent[working].add(hashlib.sha256(text.encode()).hexdigest())
                saved = await hub.save_in_jupyter(path, text, seat=seat)
                assert saved.status_code == 200, saved.text
                load.ledger.acknowledged[working, saved.json()["version"]] = saved.json()["sha256"]
                load.calls += 1
                await asyncio.sleep(0.05)
            await load.call("DELETE", f"/v1/sessions/{session['id']}", "worker")

        async def restart_each():
            for replica in replicas:
                await replica.stop()
                await replica.start()
                await balancer.until_ready(replica.url)
            load.done.set()

        async with asyncio.timeout(2 * PATIENCE), asyncio.TaskGroup() as clients:
            followed = clients.create_task(load.follow("worker", session["id"], until="ended"))
            for client in (save_in_jupyter(), load.come_and_go("guest-1"), load.come_and_go("guest-2")):
                clients.create_task(client)
            for number in range(3):
                clients.create_task(load.write(f"writer-{number}"))
            clients.create_task(restart_each())

        # Every save was told, once and in order, whichever replica told it.
        heard = followed.result()
        ids = [data["id"] for _, data in heard]
        assert ids == sorted(set(ids))
        told = [data["version"] for kind, data in heard if kind == "saved"]
        assert told == list(range(2, len(told) + 2))
        assert len(told) > 10
        # Each server was started once and stopped once.
        await hub.until(lambda: not hub.servers, within=PATIENCE)
        assert set(Counter(hub.started).values()) == {1}
        assert Counter(hub.stopped) == Counter(hub.started)
        assert len(hub.started) == load.sessions + 1
        versions = len(load.ledger.acknowledged)
        for user in ("worker", "guest-1", "guest-2", "writer-0", "writer-1", "writer-2"):
            own = {id for id in load.ledger.sent if await _is_of(http, host, user, id)}
            mine = Ledger(
                {key: digest for key, digest in load.ledger.acknowledged.items() if key[0] in own},
                {id: load.ledger.sent[id] for id in own},
            )
            await audit(http, url, mine, host.bearer(user))
    with capsys.disabled():
        print(f"\nrolling restart: {load.calls} calls, {load.sessions} sessions, {versions} versions, none dropped")


async def _is_of(http, host, user, notebook_id):
    return (await http.get(f"/v1/notebooks/{notebook_id}", headers=host.bearer(user))).status_code == 200
