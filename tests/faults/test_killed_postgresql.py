"""PostgreSQL dies in the middle of saves: what was acknowledged is there, and services go on without a restart."""

import asyncio
import os
import random
import time

import pytest

from tests.faults.ledger import Ledger, Writer, audit
from tests.service.conftest import problem

SEED = int(os.environ.get("INSET_FAULT_SEED", "2026"))
SAVES = int(os.environ.get("INSET_FAULT_SAVES", "30"))
"""Of each of the four writers. `make soak` takes more."""


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


async def test_no_acknowledged_save_is_lost_when_postgresql_is_killed(databases, new_replica, http, host, capsys):
    server, chance, ledger = databases.server, random.Random(SEED), Ledger()
    replicas = [new_replica(), new_replica()]
    await asyncio.gather(*[replica.start() for replica in replicas])
    writers = [Writer(ledger, [one.url for one in replicas], host.bearer, SEED + number) for number in range(4)]
    await asyncio.gather(*[writer.create(http) for writer in writers])
    kills, saving = 0, True

    async def kill_and_restart() -> None:
        nonlocal kills
        while saving:
            await asyncio.sleep(chance.uniform(0, 0.5))
            await asyncio.to_thread(server.kill)
            kills += 1
            await asyncio.to_thread(server.start)

    began = time.monotonic()
    killing = asyncio.create_task(kill_and_restart())
    await asyncio.gather(*[writer.save(http, SAVES) for writer in writers])
    took = time.monotonic() - began
    saving = False
    await killing

    told = ledger.figures()
    versions = await audit(http, replicas[0].url, ledger, host.bearer())
    assert versions == 4 * (SAVES + 1)
    assert kills
    with capsys.disabled():
        print(f"\nkilled PostgreSQL: {kills} kills in {took:.0f} s, {told}, {versions} versions there, lost: 0")


@pytest.mark.parametrize("how", ["shut down", "frozen"])
async def test_a_database_that_goes_away_and_comes_back_costs_no_save_and_no_restart(
    databases, new_replica, http, host, capsys, how
):
    server, ledger = databases.server, Ledger()
    replica = new_replica()
    await replica.start()
    writers = [Writer(ledger, [replica.url], host.bearer, SEED + number) for number in range(4)]
    await asyncio.gather(*[writer.create(http) for writer in writers])
    path = f"{replica.url}/v1/notebooks/{writers[0].notebook_id}/content"
    saving = [asyncio.create_task(writer.save(http, SAVES)) for writer in writers]
    told: set[tuple[int, str]] = set()

    for _ in range(2):
        await asyncio.sleep(0.3)
        if how == "frozen":
            with server.frozen():
                # Calls wait, as for a slow database.
                await asyncio.sleep(3)
        else:
            await asyncio.to_thread(server.shut_down)
            away_until = time.monotonic() + 3
            while time.monotonic() < away_until:
                answer = await http.get(path, headers=host.bearer())
                told.add((answer.status_code, problem(answer)))
                await asyncio.sleep(0.1)
            await asyncio.to_thread(server.start)

    await asyncio.gather(*saving)
    figures = ledger.figures()
    assert await audit(http, replica.url, ledger, host.bearer()) == 4 * (SAVES + 1)
    assert told == (set() if how == "frozen" else {(503, "database-unavailable")})
    with capsys.disabled():
        print(f"\nPostgreSQL away ({how}): 2 times 3 s, {figures}, lost: 0")
