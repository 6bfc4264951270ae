"""Many sessions opened and closed at once at two replicas: no error, and everything is settled once."""

import asyncio
import os
import random
from collections import Counter

from tests.faults.ledger import Ledger, audit, exact
from tests.service.conftest import document, events

SESSIONS = int(os.environ.get("INSET_LOAD_SESSIONS", "20"))
SAVES = 3
PATIENCE = 200


async def test_everything_is_settled_once_and_nothing_fails(new_replica, http, hub, host):
    chance = random.Random(int(os.environ.get("INSET_FAULT_SEED", "2026")))
    replicas = [new_replica(), new_replica()]
    await asyncio.gather(*[replica.start() for replica in replicas])
    ledgers = {f"user-{number}": Ledger() for number in range(SESSIONS)}
    kinds: Counter[str] = Counter()

    def anywhere() -> str:
        return chance.choice(replicas).url

    async def call(method, path, user, **more):
        headers = {**host.bearer(user), **more.pop("headers", {})}
        answer = await http.request(method, anywhere() + path, headers=headers, **more)
        assert answer.is_success, answer.text
        return answer.json()

    async def heard(user, id, last):
        told = []
        async for kind, _ in events(_At(http, anywhere()), id, headers=host.bearer(user)):
            told.append(kind)
            if kind == last:
                return told
        raise AssertionError(f"{last} was never told, but {told}")

    async def work(user):
        await asyncio.sleep(chance.uniform(0, 0.5))
        made = await call("POST", "/v1/notebooks", user, json={"name": "N", "content": document("0")})
        ledger, id = ledgers[user], made["id"]
        ledger.acknowledged[id, 1], ledger.sent[id] = made["sha256"], {made["sha256"]}
        for base in range(1, SAVES + 1):
            content = exact(document(f"{user}: {base}"))
            stored = await call(
                "PUT", f"/v1/notebooks/{id}/content", user, headers={"If-Match": f'"{base}"'}, content=content
            )
            ledger.acknowledged[id, stored["version"]] = stored["sha256"]
            ledger.sent[id].add(stored["sha256"])
        session = await call("POST", "/v1/sessions", user, json={"notebook_id": id})
        await heard(user, session["id"], "ready")
        await call("DELETE", f"/v1/sessions/{session['id']}", user)
        kinds.update(await heard(user, session["id"], "ended"))

    http.base_url = replicas[0].url
    hub.service = http
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as users:
        for user in ledgers:
            users.create_task(work(user))

    assert {kinds[kind] for kind in ("ready", "ending", "ended")} == {SESSIONS}
    assert kinds["failed"] == kinds["conflict"] == 0
    async with asyncio.timeout(PATIENCE):
        while hub.servers:
            await asyncio.sleep(0.1)
    assert len(hub.started) == SESSIONS == len(set(hub.started))
    assert Counter(hub.stopped) == Counter(hub.started)
    for user, ledger in ledgers.items():
        assert await audit(http, replicas[0].url, ledger, host.bearer(user)) >= SAVES + 1


class _At:
    """A client whose paths lead to one replica."""

    def __init__(self, http, url):
        self._http = http
        self._url = url

    def stream(self, method, path, **more):
        return self._http.stream(method, self._url + path, **more)
