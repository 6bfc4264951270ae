"""Replicas and packers die in the middle of saves: what was acknowledged is there, and nothing is there by half."""

import asyncio
import hashlib
import os
import random
import time

import pytest

from tests.faults.ledger import Ledger, Writer, audit, exact
from tests.service.conftest import document

SEED = int(os.environ.get("INSET_FAULT_SEED", "2026"))
SAVES = int(os.environ.get("INSET_FAULT_SAVES", "60"))
"""Of each of the six writers. `make soak` takes more."""


@pytest.mark.each_database
async def test_no_acknowledged_save_is_lost_when_services_are_killed(new_replica, http, host, capsys, database_kind):
    replicas = [new_replica(), new_replica()]
    await asyncio.gather(*[replica.start() for replica in replicas])
    ledger, chance = Ledger(), random.Random(SEED)
    urls = [replica.url for replica in replicas]
    writers = [Writer(ledger, urls, host.bearer, SEED + number) for number in range(6)]
    await asyncio.gather(*[writer.create(http) for writer in writers])
    kills = packed = 0

    async def pack_again_and_again() -> None:
        nonlocal packed
        while True:
            await replicas[0].pack(killed_after=chance.uniform(0.5, 4))
            packed += 1

    async def kill_and_restart() -> None:
        nonlocal kills
        while True:
            await asyncio.sleep(chance.uniform(0, 0.5))
            victim = chance.choice(replicas)
            await victim.kill()
            kills += 1
            await victim.start()

    began = time.monotonic()
    disturbing = [asyncio.create_task(kill_and_restart()), asyncio.create_task(pack_again_and_again())]
    await asyncio.gather(*[writer.save(http, SAVES) for writer in writers])
    took = time.monotonic() - began
    for task in disturbing:
        task.cancel()
    ended = await asyncio.gather(*disturbing, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended

    told = ledger.figures()
    survivor = new_replica()
    await survivor.start()
    await survivor.pack(killed_after=None)
    versions = await audit(http, survivor.url, ledger, host.bearer())
    assert versions == 6 * (SAVES + 1)
    assert kills
    with capsys.disabled():
        which = f"killed services on {database_kind}"
        print(
            f"\n{which}: {kills} kills and {packed} packers in {took:.0f} s, {told}, {versions} versions there, lost: 0"
        )


@pytest.mark.each_database
async def test_replicas_that_race_on_one_notebook_keep_every_side(new_replica, http, host):
    replicas = [new_replica(), new_replica()]
    await asyncio.gather(*[replica.start() for replica in replicas])
    ledger = Ledger()
    writer = Writer(ledger, [replicas[0].url], host.bearer, SEED)
    await writer.create(http)
    path = f"/v1/notebooks/{writer.notebook_id}/content"

    for round in range(10):
        base = (await http.get(replicas[0].url + path, headers=host.bearer())).headers["ETag"]
        contents = [exact(document(f"{round}: {side}")) for side in range(4)]
        ledger.sent[writer.notebook_id].update(hashlib.sha256(content).hexdigest() for content in contents)
        answers = await asyncio.gather(
            *[
                http.put(replica.url + path, content=content, headers={**host.bearer(), "If-Match": base})
                for replica, content in zip(replicas * 2, contents, strict=True)
            ]
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        for content, answer in zip(contents, answers, strict=True):
            told = answer.json()
            number = told["version"] if answer.status_code == 200 else told["kept_version"]
            ledger.acknowledged[writer.notebook_id, number] = hashlib.sha256(content).hexdigest()

    assert await audit(http, replicas[1].url, ledger, host.bearer()) == 1 + 10 * 4


async def test_a_connection_that_is_cut_in_the_middle_of_a_body_stores_nothing(new_replica, http, host):
    replica = new_replica()
    await replica.start()
    ledger = Ledger()
    writer = Writer(ledger, [replica.url], host.bearer, SEED)
    await writer.create(http)
    content = exact(document("x" * 200_000))
    token = host.bearer()["Authorization"]
    head = (
        f"PUT /v1/notebooks/{writer.notebook_id}/content HTTP/1.1\r\nHost: service\r\nAuthorization: {token}\r\n"
        f'If-Match: "1"\r\nContent-Length: {len(content)}\r\n\r\n'
    )
    port = int(replica.url.rpartition(":")[2])

    for cut_after in (0, 1, len(content) // 2, len(content) - 1):
        _, wire = await asyncio.open_connection("127.0.0.1", port)
        wire.write(head.encode() + content[:cut_after])
        await wire.drain()
        wire.transport.abort()

    await writer.save(http, 1)
    assert await audit(http, replica.url, ledger, host.bearer()) == 2
