"""Measure a user's story by hand, by a direct client and through Inset, and write the report: `make bench-story`."""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from benchmarks.story import page_loads
from benchmarks.story.containers import containers
from benchmarks.story.nothing_servers import nothing_servers
from benchmarks.story.opening import Watch, first_result
from benchmarks.story.parts import Setting
from benchmarks.story.report import Facts, Report
from benchmarks.story.stories import tell_all
from benchmarks.story.ways import Through, Way, direct_and_inset, every_way
from inset import __version__
from tests.support.real_hub import ROOT, free_ports
from tests.support.serving import served

SPAWNERS = ("local", "nothing", "docker")


async def main(given: argparse.Namespace) -> None:
    """Measure, and write the report and its picture."""
    facts = Facts(_version(), _machine(), os.getloadavg()[0], given.rounds)
    report, begin = Report(facts), time.monotonic()
    for spawner in given.spawners:
        async with AsyncExitStack() as stack:
            setting = await _setting(stack, spawner)
            if setting is None:
                print(f"{spawner}: not here", flush=True)
                continue
            [port] = free_ports(1)
            await stack.enter_async_context(served(Starlette(routes=[Route("/", _host_page)]), port))
            origin = f"http://host.localhost:{port}"
            if spawner != "nothing" and given.pairs:
                async with AsyncExitStack() as alone:
                    two = await direct_and_inset(alone, _folder(alone), setting, origin)
                    report.add_pairs(await tell_all(spawner, two, users=1, rounds=given.pairs, with_result=True))
            ways = await every_way(stack, _folder(stack), setting, origin)
            for users in given.users if spawner == "nothing" else [1]:
                starts = spawner != "nothing"
                report.add_stories(await tell_all(spawner, ways, users=users, rounds=given.rounds, with_result=starts))
            if spawner == "local" and given.pages:
                await _load_pages(report, ways, port, given.pages)
    report.write(given.report, given.plot, load_after=os.getloadavg()[0], minutes=(time.monotonic() - begin) / 60)


def _folder(stack: AsyncExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory()))


async def _setting(stack: AsyncExitStack, spawner: str) -> Setting | None:
    if spawner == "docker":
        return await stack.enter_async_context(containers())
    if spawner == "nothing":
        return Setting(spawner, await stack.enter_async_context(nothing_servers()))
    return Setting(spawner, {})


async def _load_pages(report: Report, ways: dict[str, Way], port: int, rounds: int) -> None:
    """Open the notebook's page again and again, stock and through Inset in turns, on servers that run."""
    user, hand, through = 0, ways["by hand"], ways["Inset"]
    assert isinstance(through, Through)
    for way in (hand, through):
        await way.prepare(user)
    by_hand, inset = [await way.open(user, 1, Watch()) for way in (hand, through)]
    await first_result(by_hand)
    await first_result(await through.enter(user, inset))

    async def stock_url() -> str:
        return by_hand.url

    # The stock hub's cookies are ordinary ones: its pages are framed on their own site.
    pages = {
        "by hand": (f"http://nb.localhost:{port}/", stock_url),
        "Inset": (f"http://host.localhost:{port}/", lambda: through.signed_url(user)),
    }
    warm_up_url = f"{through.inset.assets_url}/warm-up"
    async with page_loads.a_browser() as browser:
        for line in (page_loads.LOOPBACK, page_loads.ORDINARY):
            loads: dict[str, dict[str, list[page_loads.Load]]] = {"cold": {}, "files ahead": {}, "warm": {}}
            for _ in range(rounds):
                for name, (host_page, next_url) in pages.items():
                    cold, warm = await page_loads.cold_and_warm(browser, host_page, next_url, line)
                    loads["cold"].setdefault(name, []).append(cold)
                    loads["warm"].setdefault(name, []).append(warm)
                # A stock server has nobody who could fetch them: what it takes cold is what it takes.
                host_page, next_url = pages["Inset"]
                ahead = await page_loads.fetched_ahead(browser, host_page, next_url, line, warm_up_url)
                loads["files ahead"].setdefault("Inset", []).append(ahead)
            loads["files ahead"]["by hand"] = loads["cold"]["by hand"]
            for temperature, some in loads.items():
                report.add_loads(line.name, temperature, some)
                print(
                    line.name, temperature, *(f"{name} {_seconds(one):.2f}" for name, one in some.items()), flush=True
                )
    for way in (hand, through):
        await way.end([user])


def _seconds(loads: list[page_loads.Load]) -> float:
    return statistics.median(one.seconds for one in loads)


async def _host_page(request: Request) -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>Host</title><iframe style='width: 1000px; height: 700px'></iframe>")


def _version() -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return f"{__version__} ({commit.stdout.strip() or 'no commit'})"


def _machine() -> str:
    return f"{os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}"


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.story", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of each story; one more warms up")
    parser.add_argument("--spawners", type=lambda text: text.split(","), default=list(SPAWNERS), help=str(SPAWNERS))
    parser.add_argument(
        "--pairs", type=int, default=24,
        help="more rounds of the direct client and Inset, with spawners that start servers; 0 for none",
    )  # fmt: skip
    parser.add_argument(
        "--users", type=lambda text: [int(one) for one in text.split(",")], default=[1, 10],
        help="at a time, with the spawner that starts nothing",
    )  # fmt: skip
    parser.add_argument("--pages", type=int, default=5, help="how often each page is opened in Chromium; 0 for none")
    parser.add_argument("--report", type=Path, default=Path("docs/story-benchmark.md"))
    parser.add_argument("--plot", type=Path, default=Path("docs/images/story-benchmark.svg"))
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_given()))
