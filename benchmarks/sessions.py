"""Whether the service gets slower, and how much larger, as sessions grow from 10 to 1,000.

Two deployments, each of two replicas on PostgreSQL before a real JupyterHub whose spawner starts nothing. In one of
them sessions grow: each is opened over the API by a user of its own, with a server of its own at the hub, and followed
by an event stream all the while. The other one stays at the first size. Calls are made of both by turns, in rounds, so
that what else the machine does disturbs both; the quotient of two medians is what is to be looked at. At the first
size both are alike, and their quotients tell how much of one is noise.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.crowd import Crowd, Member, crowd
from benchmarks.sessions_report import Calls, Growth, Idle, Report, Size
from benchmarks.unspawned import Unspawned, unspawned
from tests.faults.ledger import exact
from tests.service.conftest import document
from tests.support.databases import Databases

REPORT = Path(__file__).parents[1] / "docs" / "load.md"
_WARM_UP_ROUNDS = 2


@dataclass(frozen=True)
class Place:
    """A deployment and its users, with one more who does what is measured besides."""

    parts: Unspawned
    crowd: Crowd
    writer: Member

    async def status(self, number: int) -> None:
        member = self._member(number)
        await member.call("GET", f"/v1/sessions/{member.session}")

    async def metadata(self, number: int) -> None:
        member = self._member(number)
        await member.call("GET", f"/v1/notebooks/{member.notebook}")

    async def signed_url(self, number: int) -> None:
        member = self._member(number)
        await member.call("POST", f"/v1/sessions/{member.session}/iframe-url")

    async def save(self, number: int) -> None:
        await self.writer.save(exact(document(f"{time.time_ns()}", "x" * 10_000)))

    def _member(self, number: int) -> Member:
        return self.crowd.members[number * 7 % len(self.crowd.members)]


KINDS = {
    "a session's status": (Place.status, 20),
    "a notebook's metadata": (Place.metadata, 20),
    "a signed URL for a frame": (Place.signed_url, 10),
    "a save of 10 KB": (Place.save, 10),
}
"""What is asked for, and how often in a round."""
OPENING = "one more session, until it is ready"
_OPENED = 2
"""How many are, in a round."""


async def measure(given: argparse.Namespace) -> Report:
    """Have sessions grow, and measure at each size."""
    before = os.getloadavg()[0]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = Databases(folder)
        stack.callback(databases.close)
        # One after the other: a hub's first start takes a processor for a while.
        growing, small = [
            await _place(stack, databases, folder / name, seats)
            for name, seats in (("growing", given.sizes[-1] + 20), ("small", given.sizes[0] + 20))
        ]
        await small.crowd.grow(given.sizes[0], at_once=given.at_once)
        report = Report(given.rounds, given.at_once, tuple(KINDS), before)
        for size in given.sizes:
            growth = await _grown(growing, size, given.at_once)
            if size == given.sizes[0]:
                await _rounds([growing, small], _WARM_UP_ROUNDS)
            idle = await _idle([growing, small], given.idle)
            calls = await _rounds([growing, small], given.rounds, idle)
            growing.crowd.check()
            small.crowd.check()
            memory = growing.parts.memory_of_replicas(), growing.parts.memory_of_hub()
            report.sizes.append(Size(size, growth, idle[0], *calls, *memory, os.getloadavg()[0]))
            print(report.table(), flush=True)
        began = time.perf_counter()
        await growing.crowd.close(at_once=given.at_once)
        report.closed_in = time.perf_counter() - began
    return report


async def _place(stack: AsyncExitStack, databases: Databases, folder: Path, seats: int) -> Place:
    folder.mkdir()
    url = await stack.enter_async_context(databases.migrated("postgresql", folder))
    parts = await stack.enter_async_context(unspawned(folder, url, seats=seats))
    users = await stack.enter_async_context(crowd(parts.urls, parts.host))
    return Place(parts, users, await users.newcomer())


async def _grown(place: Place, size: int, at_once: int) -> Growth:
    more = size - len(place.crowd.members)
    began, replicas, hub = time.perf_counter(), place.parts.cpu_of_replicas(), place.parts.cpu_of_hub()
    until_ready = await place.crowd.grow(size, at_once=at_once)
    seconds = time.perf_counter() - began
    cpu_of_replicas, cpu_of_hub = place.parts.cpu_of_replicas() - replicas, place.parts.cpu_of_hub() - hub
    return Growth(more, seconds, until_ready, cpu_of_replicas / more, cpu_of_hub / more)


async def _idle(places: Sequence[Place], seconds: float) -> list[Idle]:
    """Watch all of them at once while nothing happens."""
    await asyncio.sleep(2)  # what has just been done may have an end to it
    before = [(place.parts.cpu_of_replicas(), place.parts.cpu_of_hub()) for place in places]
    await asyncio.sleep(seconds)
    return [
        Idle((place.parts.cpu_of_replicas() - replicas) / seconds, (place.parts.cpu_of_hub() - hub) / seconds)
        for place, (replicas, hub) in zip(places, before, strict=True)
    ]


async def _rounds(places: Sequence[Place], rounds: int, idle: Sequence[Idle] = ()) -> list[dict[str, Calls]]:
    """Call all of them by turns, for each kind of call; gives what was found at each place.

    What a place's replicas compute while it is `idle` is no part of it.
    """
    found = [{kind: Calls() for kind in (*KINDS, OPENING)} for _ in places]
    shares = [share.replicas for share in idle] or [0.0 for _ in places]
    for round in range(rounds):
        turns = list(zip(places, found, shares, strict=True))
        for kind in (*KINDS, OPENING):
            # Nobody is always the first.
            for place, calls, share in turns if round % 2 else turns[::-1]:
                cpu, began = place.parts.cpu_of_replicas(), time.perf_counter()
                calls[kind].seconds += await _asked(place, kind, round)
                calls[kind].cpu += place.parts.cpu_of_replicas() - cpu - share * (time.perf_counter() - began)
    return found


async def _asked(place: Place, kind: str, round: int) -> list[float]:
    """Ask one after the other; gives the seconds that each took."""
    if kind == OPENING:
        return await _opened(place)
    ask, count = KINDS[kind]
    took = []
    for number in range(round * count, (round + 1) * count):
        began = time.perf_counter()
        await ask(place, number)
        took.append(time.perf_counter() - began)
    return took


async def _opened(place: Place) -> list[float]:
    took = []
    for _ in range(_OPENED):
        guest = await place.crowd.newcomer()
        took.append(await guest.open())
        await guest.close()
    return took


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=lambda given: [int(size) for size in given.split(",")], default=[10, 100, 1000])
    parser.add_argument("--rounds", type=int, default=15, help="at each size")
    parser.add_argument("--at-once", type=int, default=20, help="how many sessions are being opened at once")
    parser.add_argument("--idle", type=float, default=30, help="seconds for which nothing happens, at each size")
    parser.add_argument(
        "--report", type=Path, help="whose first section it writes anew, as docs/load.md; else it prints"
    )
    given = parser.parse_args()
    report = asyncio.run(measure(given))
    print(report.section())
    if given.report:
        report.write(given.report)


if __name__ == "__main__":
    sys.exit(main())
