"""As many users with real servers and kernels as this machine carries: whether each save of each of them is there.

A real hub starts a real server for each user, before two replicas of the service on PostgreSQL. Some users more open
their notebooks at once; then all of them work: they run a cell now and then, and save. So it goes on until there are
as many as were asked for, or the machine is full: too little memory left for the next step, or half of the saves on
their way for too long, or it has gone on for long enough. In the end every version is read and compared with what its
user had sent.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import psutil

from benchmarks.replicated import Replicated, replicated
from benchmarks.working_user import WorkingUser
from tests.faults.ledger import audit
from tests.support.databases import Databases


async def measure(given: argparse.Namespace) -> None:
    """Print a table's rows as they are known, then what is left of the ledgers."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = Databases(folder)
        stack.callback(databases.close)
        url = await stack.enter_async_context(databases.migrated("postgresql", folder))
        inset = await stack.enter_async_context(replicated(folder, url, seats=given.most))
        print(f"load average when it began: {os.getloadavg()[0]:.1f}\n\n{_HEADER}", flush=True)
        users: list[WorkingUser] = []
        stopped_by, began = "all that were asked for", time.perf_counter()
        while len(users) < given.most:
            size, saves = min(given.step, given.most - len(users)), given.saves
            before = psutil.virtual_memory().available
            new = [WorkingUser(inset, f"user-{len(users) + number}", seed=given.seed) for number in range(size)]
            for user in new:
                stack.push_async_callback(user.aclose)
            turn = asyncio.Semaphore(given.at_once)
            opening, opening_cpu = await _timed(_open_in_turn(user, turn) for user in new)
            users += new
            working, working_cpu = await _timed(user.work(saves, pause=given.pause) for user in users)
            memory = _memory_of_servers(inset) / len(users)
            stored = [seconds for user in users for seconds in user.stored[-saves:]]
            written = [seconds for user in users for seconds in user.written[-saves:]]
            print(
                f"| {len(users)} | {size / opening:.2f} | {opening_cpu / size:.1f} s | {memory / 2**20:.0f} MiB | "
                f"{_spread(written)} | {_spread(stored)} | {len(stored) / working:.1f} | {working_cpu / working:.2f} | "
                f"{psutil.virtual_memory().available / 2**30:.1f} GiB | {os.getloadavg()[0]:.0f} |",
                flush=True,
            )
            taken = max(before - psutil.virtual_memory().available, memory * size)
            if psutil.virtual_memory().available - taken < given.leave * 2**30:
                stopped_by = f"memory: another {size} users would leave less than {given.leave:g} GiB"
                break
            if statistics.median(stored) > given.patience:
                stopped_by = f"processor: half of the saves took more than {given.patience:g} s"
                break
            if time.perf_counter() - began > given.minutes * 60:
                stopped_by = f"time: {given.minutes:g} minutes are over"
                break
        print(f"\nstopped by {stopped_by}; load average {os.getloadavg()[0]:.1f}", flush=True)
        await _say_what_is_there(inset, users)


async def _say_what_is_there(inset: Replicated, users: Sequence[WorkingUser]) -> None:
    saves, cells, versions = sum(len(user.stored) for user in users), sum(user.ran for user in users), 0
    async with httpx.AsyncClient(timeout=120) as http:
        for number, user in enumerate(users):
            bearer = inset.host.bearer(f"user-{number}", exp=int(time.time()) + 3500)
            versions += await audit(http, inset.url, user.ledger, bearer)
    # An answer other than a success, a session that failed, a save that never landed: each has ended this before.
    print(
        f"{len(users)} users, {saves} saves acknowledged, {cells} cells run, errors: 0\n"
        f"{versions} versions read and compared byte for byte, lost: 0"
    )


async def _open_in_turn(user: WorkingUser, turn: asyncio.Semaphore) -> None:
    async with turn:
        await user.open()


async def _timed(work: Iterable[Coroutine[None, None, None]]) -> tuple[float, float]:
    """Do all of it at once; gives the seconds it took, and those of the processors that all of our processes took."""
    began, cpu = time.perf_counter(), _cpu()
    async with asyncio.TaskGroup() as at_once:
        for each in work:
            at_once.create_task(each)
    return time.perf_counter() - began, _cpu() - cpu


def _cpu() -> float:
    own = psutil.Process()
    seconds = 0.0
    for process in [own, *own.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            seconds += sum(process.cpu_times()[:4])  # those of children that have ended among them
    return seconds


def _memory_of_servers(inset: Replicated) -> int:
    """Give the bytes of all servers and kernels; what several share is counted once."""
    assert inset.hub.process
    total = 0
    for process in psutil.Process(inset.hub.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any(name in " ".join(process.cmdline()) for name in ("inset_bridge", "ipykernel")):
                total += process.memory_full_info().pss
    return total


def _spread(seconds: Sequence[float]) -> str:
    """Write the median and the 99th percentile."""
    ordered = sorted(seconds)
    late = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{statistics.median(ordered) * 1000:.0f} ms, {late * 1000:.0f} ms"


_HEADER = (
    "| users | started a second | processor for a start | memory a user | Jupyter has the save: median, 99 % | "
    "the database has it | saves a second | cores at work | left | load average |\n"
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100, help="users at the most")
    parser.add_argument("--step", type=int, default=10, help="how many more come at a time")
    parser.add_argument("--at-once", type=int, default=10, help="how many open their notebooks at once")
    parser.add_argument("--saves", type=int, default=3, help="of each user, at each step")
    parser.add_argument("--pause", type=float, default=10, help="seconds before each save, about")
    parser.add_argument("--leave", type=float, default=4, help="GiB of memory that must stay available")
    parser.add_argument("--patience", type=float, default=3, help="seconds that half of the saves may take")
    parser.add_argument("--minutes", type=float, default=60, help="after which no more users come")
    parser.add_argument("--seed", type=int, default=2026)
    sys.exit(asyncio.run(measure(parser.parse_args())))
