"""Many sessions opened and closed at once, at two replicas before a real hub: no error, and all is settled once."""

import asyncio
import hashlib
import os
import random
import re
from collections import Counter

import pytest

from benchmarks.crowd import crowd
from benchmarks.unspawned import unspawned
from tests.faults.ledger import Ledger, audit, exact
from tests.service.conftest import document

SESSIONS = int(os.environ.get("INSET_LOAD_SESSIONS", "60"))
"""`make soak` has a thousand."""
SAVES = 3
AT_ONCE = 20
PATIENCE = 200 + 2 * SESSIONS


@pytest.fixture
async def inset(database_url, tmp_path):
    async with unspawned(tmp_path, database_url, seats=SESSIONS) as inset:
        yield inset


async def test_everything_is_settled_once_and_nothing_fails(inset, http):
    chance = random.Random(int(os.environ.get("INSET_FAULT_SEED", "2026")))
    ledgers: dict[str, Ledger] = {}
    turn = asyncio.Semaphore(AT_ONCE)
    all_are_open = asyncio.Barrier(SESSIONS)

    async def work():
        async with turn:
            await asyncio.sleep(chance.uniform(0, 0.5))
            user = await users.newcomer()
            ledger = ledgers.setdefault(user.name, Ledger())
            ledger.acknowledged[user.notebook, 1] = user.sha256
            ledger.sent[user.notebook] = {user.sha256}
            for count in range(SAVES):
                content = exact(document(f"{user.name}: {count}"))
                ledger.sent[user.notebook].add(hashlib.sha256(content).hexdigest())
                number = await user.save(content)
                ledger.acknowledged[user.notebook, number] = user.sha256
            await user.open()
        await all_are_open.wait()
        users.check()
        async with turn:
            await user.close()
        return user

    async with asyncio.timeout(PATIENCE), crowd(inset.urls, inset.host) as users, asyncio.TaskGroup() as at_once:
        working = [at_once.create_task(work()) for _ in range(SESSIONS)]

    told = Counter(kind for user in working for kind in user.result().told)
    assert {told[kind] for kind in ("ready", "ending", "ended")} == {SESSIONS}
    assert told["failed"] == told["conflict"] == 0
    async with asyncio.timeout(PATIENCE):
        while len(stopped := _servers(inset.hub.log(), "stopping")) < SESSIONS:
            await asyncio.sleep(0.1)
    started = _servers(inset.hub.log(), "starting")
    assert sorted(started) == sorted(stopped) == sorted(set(started))
    for name, ledger in ledgers.items():
        assert await audit(http, inset.urls[0], ledger, inset.host.bearer(name)) == SAVES + 1


def _servers(log, what):
    """Name the servers of which the hub's spawner said so, each as often as it did."""
    return re.findall(rf"{what} nothing for (\S+)", log)
