"""Whether the service gets slower, and how much larger, as sessions grow from 10 to 1,000.

Two replicas as processes on a PostgreSQL of their own, before a hub that starts nothing (the tests' fake at the wire).
The sessions, two for each user, stand in the database as if they had been opened, and each is followed by an event
stream. At each size: how long a status takes, how long a session that is opened then takes until it is ready, and what
either costs the replicas in CPU, which tells more on a machine that does other things; in the end, what a session
costs in memory.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import psutil

from benchmarks.replicated import before_hub, two_replicas
from inset.db import Database, open_database
from inset.models import Notebook, Server, ServerState, Session, SessionState
from tests.fakes.fake_hub import SERVICE_TOKEN, FakeHub, FakeServer
from tests.faults.replica import Replica
from tests.service.conftest import events
from tests.support.databases import Databases
from tests.support.hosts import TestHost
from tests.support.serving import served

_SEATS = 600
_IDLE_SECONDS = 10


class Bench:
    """The clients of the two replicas."""

    def __init__(
        self, http: httpx.AsyncClient, urls: Sequence[str], host: TestHost, hub: FakeHub, database: Database
    ) -> None:
        self._http = http
        self._hub = hub
        self._database = database
        self._urls = urls
        self._host = host
        self.open: list[tuple[str, str]] = []
        """Each session with its user."""
        self._streams: list[asyncio.Task[None]] = []
        self.reached: dict[str, list[float]] = {}
        """Seconds from the call until a session was told to be in each phase, since these were last cleared."""

    async def call(self, number: int, method: str, path: str, user: str, **call: object) -> dict[str, object]:
        url = self._urls[number % 2] + path
        answer = await self._http.request(method, url, headers=self._bearer(user), **call)  # type: ignore[arg-type]
        assert answer.is_success, answer.text
        told: dict[str, object] = answer.json()
        return told

    async def new_session(self, number: int, user: str) -> tuple[str, float]:
        """Open a new notebook; gives the session and the seconds until it was ready."""
        notebook = await self.call(number, "POST", "/v1/notebooks", user, json={"name": "N"})
        began = time.perf_counter()
        session = await self.call(number, "POST", "/v1/sessions", user, json={"notebook_id": notebook["id"]})
        await self.heard(number, str(session["id"]), user, "ready", since=began)
        return str(session["id"]), time.perf_counter() - began

    async def heard(self, number: int, id: str, user: str, last: str, *, since: float | None = None) -> None:
        """Follow a session until an event of this kind; with `since`, note when it reached each phase."""
        phases = {10: "queued", 80: "starting", 100: "loading"}
        async with httpx.AsyncClient(base_url=self._urls[number % 2], timeout=120) as http:
            async for kind, data in events(http, id, headers=self._bearer(user)):
                assert kind != "failed" or last == "failed", data
                if since is not None and kind == "progress" and (phase := phases.pop(data["percent"], None)):
                    self.reached.setdefault(phase, []).append(time.perf_counter() - since)
                if kind == last:
                    return

    async def grow(self, size: int) -> None:
        """Have so many sessions open and followed."""
        numbers = range(len(self.open), size)
        async with self._database.transaction() as db:
            db.add_all(
                Notebook(id=f"notebook-{number}", host_id=self._host.id, owner=_user(number), name="N")
                for number in numbers
            )
            for number in numbers[::2]:
                id, seat = f"server-{number}", self._hub.seats[-1 - number // 2]
                url = f"{self._hub.public_url}/user/{seat}/"
                kind = {"host_id": self._host.id, "owner": _user(number)}
                db.add(Server(id=id, seat=seat, state=ServerState.RUNNING, url=url, **kind))
                running = self._hub.servers[seat] = FakeServer(seat, {"server_id": id})
                running.ready.set()
        async with self._database.transaction() as db:
            for number in numbers:
                session = Session(
                    host_id=self._host.id, owner=_user(number), notebook_id=f"notebook-{number}",
                    server_id=f"server-{number // 2 * 2}", state=SessionState.READY, embeddable=True,
                )  # fmt: skip
                db.add(session)
                self.open.append((session.id, session.owner))
        for number in numbers:
            followed = self.heard(number, *self.open[number], "ended")
            self._streams.append(asyncio.create_task(followed))
            await asyncio.sleep(0.01)
        await asyncio.sleep(2)

    async def status(self, samples: int) -> list[float]:
        took = []
        for number in range(samples):
            id, user = self.open[number * 7 % len(self.open)]
            began = time.perf_counter()
            await self.call(number, "GET", f"/v1/sessions/{id}", user)
            took.append(time.perf_counter() - began)
        return took

    async def opening(self, samples: int) -> list[float]:
        took = []
        for number in range(samples):
            id, seconds = await self.new_session(number, f"guest-{number}")
            took.append(seconds)
            await self.call(number, "DELETE", f"/v1/sessions/{id}", f"guest-{number}")
            await self.heard(number, id, f"guest-{number}", "ended")
        return took

    def close(self) -> None:
        for stream in self._streams:
            stream.cancel()

    def _bearer(self, user: str) -> dict[str, str]:
        return self._host.bearer(user, exp=int(time.time()) + 3500)


async def measure(sizes: Sequence[int], samples: int) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = Databases(folder)
        stack.callback(databases.close)
        database_url = await stack.enter_async_context(databases.migrated("postgresql", folder))
        hub, host = FakeHub(seats=_SEATS), TestHost()
        hub_url = await stack.enter_async_context(served(hub.app))
        of_the_hub = before_hub(SERVICE_TOKEN, f"{hub_url}/hub/api", hub_url, _SEATS)
        replicas = await stack.enter_async_context(two_replicas(folder, database_url, host, of_the_hub))
        unlimited = httpx.Limits(max_connections=None)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=120, limits=unlimited))
        hub.service = await stack.enter_async_context(httpx.AsyncClient(base_url=replicas[0].url, timeout=120))
        database = await stack.enter_async_context(open_database(database_url))
        bench = Bench(http, [replica.url for replica in replicas], host, hub, database)
        stack.callback(bench.close)
        await _report(bench, replicas, sizes, samples)


async def _report(bench: Bench, replicas: Sequence[Replica], sizes: Sequence[int], samples: int) -> None:
    processes = [psutil.Process(replica.pid) for replica in replicas]
    first: dict[str, float] = {}
    memory_at_first = 0
    await bench.grow(sizes[0])
    await bench.status(20)  # what is done once is no part of it
    await bench.opening(2)
    for size in sizes:
        await bench.grow(size)
        before = _cpu(processes)
        await asyncio.sleep(_IDLE_SECONDS)
        idle = (_cpu(processes) - before) / _IDLE_SECONDS
        memory = sum(process.memory_info().rss for process in processes)
        memory_at_first = memory_at_first or memory
        print(f"{size} sessions: both replicas {memory / 1e6:.0f} MB, {idle:.1%} of a core when idle", flush=True)
        for name, measured, count in (("status", bench.status, 10 * samples), ("opening", bench.opening, samples)):
            before, began = _cpu(processes), time.perf_counter()
            bench.reached.clear()
            took = await measured(count)
            cpu = (_cpu(processes) - before - idle * (time.perf_counter() - began)) / count
            median, late = statistics.median(took), statistics.quantiles(took, n=20)[-1]
            ratios = [now / first.setdefault(f"{name} {of}", now) for of, now in (("time", median), ("cpu", cpu))]
            print(
                f"  {name}: {median * 1000:.0f} ms (95 %: {late * 1000:.0f} ms), ratio {ratios[0]:.2f}; "
                f"CPU of the replicas {cpu * 1000:.1f} ms, ratio {ratios[1]:.2f}",
                flush=True,
            )
            for phase, until in bench.reached.items():
                end = statistics.median(until)
                print(
                    f"    out of {phase} after {end * 1000:.0f} ms, ratio {end / first.setdefault(phase, end):.2f}",
                    flush=True,
                )
    print("errors: 0")  # any other answer than a success, and any session that failed, has ended this
    each = (memory - memory_at_first) / max(sizes[-1] - sizes[0], 1)
    print(f"memory for each session with an event stream: {each / 1024:.0f} KiB")


def _user(number: int) -> str:
    return f"user-{number // 2}"


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=lambda given: [int(size) for size in given.split(",")], default=[10, 100, 1000])
    parser.add_argument("--samples", type=int, default=30)
    given = parser.parse_args()
    sys.exit(asyncio.run(measure(given.sizes, given.samples)))
