"""A hundred servers' worth of traffic for two replicas on PostgreSQL: the real bridges' code with no Jupyter under it.

First one real server, with a real user who saves every ten seconds, is watched for a minute: what its bridge and its
pages ask of the service. Then as many bare bridges, each with a page's event stream, do the same at once.
"""

import argparse
import asyncio
import logging
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.bare_bridge import AnyReplica, BareBridge, Times
from benchmarks.replicated import before_hub, replicated, two_replicas
from benchmarks.working_user import WorkingUser
from inset.db import Database, open_database
from inset.models import Server, ServerState, Session, SessionState
from tests.fakes.fake_hub import SERVICE_TOKEN, FakeHub, FakeServer
from tests.faults.ledger import audit
from tests.service.conftest import document
from tests.support.databases import Databases
from tests.support.hosts import TestHost
from tests.support.serving import served

_PAUSE = 10.0
"""Seconds between two saves of one user, about."""


async def measure(servers: int, minutes: float) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = Databases(folder)
        stack.callback(databases.close)
        (folder / "one").mkdir()
        async with databases.migrated("postgresql", folder) as url:
            print(await _of_one_real_server(folder / "one", url), flush=True)
        (folder / "many").mkdir()
        async with databases.migrated("postgresql", folder) as url:
            await _replay(folder / "many", url, servers, minutes)


async def _of_one_real_server(folder: Path, database_url: str) -> str:
    """Give a table of what was asked of the service for one session: until it was ready, and in a minute of work."""
    async with replicated(folder, database_url, seats=1) as inset:
        user = WorkingUser(inset, "ada", seed=1)
        try:
            await user.open()
            opening, began = _asked(folder), time.monotonic()
            await user.work(6, pause=_PAUSE)
            await asyncio.sleep(max(0, 60 - (time.monotonic() - began)))
            seconds = time.monotonic() - began
            working = _asked(folder) - opening
        finally:
            await user.aclose()
    rows = [f"| `{kind}` | {opening[kind]} | {working[kind]} |" for kind in sorted(opening | working)]
    head = f"| asked of the service | until it was open | in the next {seconds:.0f} s |\n| --- | ---: | ---: |"
    return "\n".join([head, *rows, ""])


def _asked(folder: Path) -> Counter[str]:
    """Count the lines of the replicas' logs by method and route."""
    lines = "".join(log.read_text() for log in folder.glob("replica-*.log"))
    return Counter(re.findall(r"inset\.observing: (\w+ /(?:v1|bridge/v1)/\S+) \[", lines))


async def _replay(folder: Path, database_url: str, servers: int, minutes: float) -> None:
    hub, host = FakeHub(seats=servers), TestHost()
    async with AsyncExitStack() as stack:
        hub_url = await stack.enter_async_context(served(hub.app))
        of_the_hub = before_hub(SERVICE_TOKEN, f"{hub_url}/hub/api", hub_url, servers)
        replicas = await stack.enter_async_context(two_replicas(folder, database_url, host, of_the_hub))
        urls, times = [replica.url for replica in replicas], Times()
        limits = httpx.Limits(max_connections=None)
        transport = AnyReplica(urls, times, limits=limits)
        pages = await stack.enter_async_context(httpx.AsyncClient(base_url=urls[0], timeout=60, transport=transport))
        database = await stack.enter_async_context(open_database(database_url))
        bridges = [
            await _started(folder / f"server-{number}", number, urls, times, hub, host, pages, database)
            for number in range(servers)
        ]
        processes = [psutil.Process(replica.pid) for replica in replicas]
        followed = [asyncio.create_task(_follow(pages, host, number)) for number in range(servers)]
        running = [asyncio.create_task(bridge.run()) for bridge in bridges]
        times.seconds.clear()
        cpu, began, asked = _cpu(processes), time.perf_counter(), _asked(folder)
        async with asyncio.TaskGroup() as at_once:
            for number, bridge in enumerate(bridges):
                at_once.create_task(_work(bridge, number, until=began + minutes * 60))
        took, cpu = time.perf_counter() - began, _cpu(processes) - cpu
        for task in [*followed, *running]:
            assert not task.done(), task
            task.cancel()
        await asyncio.gather(*followed, *running, return_exceptions=True)
        _report(times, _asked(folder) - asked, bridges, took, cpu / took)
        versions = 0
        for number, bridge in enumerate(bridges):
            versions += await audit(pages, urls[0], bridge.ledger, _bearer(host, number))
        print(f"{versions} versions read and compared byte for byte, lost: 0")


async def _started(
    folder: Path,
    number: int,
    urls: list[str],
    times: Times,
    hub: FakeHub,
    host: TestHost,
    pages: httpx.AsyncClient,
    database: Database,
) -> BareBridge:
    """Have a user's session be ready on a server of his, as if it had been opened."""
    new = {"name": "N", "content": document("0")}
    made = (await pages.post("/v1/notebooks", json=new, headers=_bearer(host, number))).raise_for_status().json()
    id, seat, kind = f"server-{number}", hub.seats[number], {"host_id": host.id, "owner": f"user-{number}"}
    async with database.transaction() as db:
        url = f"{hub.public_url}/user/{seat}/"
        db.add(Server(id=id, seat=seat, state=ServerState.RUNNING, url=url, **kind))
        await db.flush()
        db.add(
            Session(
                id=_session(number), notebook_id=made["id"], server_id=id, state=SessionState.READY,
                embeddable=True, **kind,
            )
        )  # fmt: skip
    hub.servers[seat] = FakeServer(seat, {"server_id": id})
    hub.servers[seat].ready.set()
    folder.mkdir()
    return BareBridge(folder, urls, times, server_id=id, hub_token=hub.servers[seat].own_token, notebook=made)


async def _follow(pages: httpx.AsyncClient, host: TestHost, number: int) -> None:
    path = f"/v1/sessions/{_session(number)}/events"
    async with pages.stream("GET", path, headers=_bearer(host, number)) as stream:
        async for _ in stream.aiter_lines():
            pass


async def _work(bridge: BareBridge, number: int, *, until: float) -> None:
    chance, count = random.Random(number), 0
    await asyncio.sleep(chance.uniform(0, _PAUSE))
    while time.perf_counter() < until:
        count += 1
        await bridge.save(f"{number}: {count}")
        await asyncio.sleep(chance.uniform(0.5, 1.5) * _PAUSE)


def _session(number: int) -> str:
    return f"{number:032x}"


def _bearer(host: TestHost, number: int) -> dict[str, str]:
    return host.bearer(f"user-{number}", exp=int(time.time()) + 3500)


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _report(times: Times, asked: Counter[str], bridges: Sequence[BareBridge], took: float, cores: float) -> None:
    stored = [seconds for bridge in bridges for seconds in bridge.stored]
    print(f"{len(bridges)} servers for {took:.0f} s; load average {os.getloadavg()[0]:.0f}")
    print("| asked | times | median | 99 % |\n| --- | ---: | ---: | ---: |")
    for kind, seconds in sorted({**times.seconds, "_a save is acknowledged_": stored}.items()):
        print(f"| {kind} | {len(seconds)} | {_at(seconds, 0.5)} | {_at(seconds, 0.99)} |")
    counted = ", ".join(f"{kind} {count}" for kind, count in sorted(asked.items()))
    print(f"\nby the replicas' own logs: {counted}\nboth replicas took {cores:.1%} of a core")
    print(f"errors: {len(times.errors)} {Counter(times.errors) or ''}")


def _at(seconds: Sequence[float], share: float) -> str:
    value: Any = statistics.median(seconds) if share == 0.5 else sorted(seconds)[int(len(seconds) * share)]
    return f"{value * 1000:.0f} ms"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=3)
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    sys.exit(asyncio.run(measure(given.servers, given.minutes)))
