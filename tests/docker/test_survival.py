"""Parts of the deployment die, can't hear each other, or find their disk full, while people work.

All goes on by itself, within the seconds that stand here, and nothing that was acknowledged is lost or there twice.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import pytest_asyncio

from tests.docker import failing
from tests.docker.deployment import Deployment
from tests.docker.traffic import Traffic, traffic
from tests.support.hosts import TestHost

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

BACK_WITHIN = 120.0
"""Seconds after which everybody's saves are stored again. CI's machine may be three times slower than a good one."""


@pytest_asyncio.fixture(loop_scope="module")
async def people(running: Deployment, host: TestHost) -> AsyncIterator[Traffic]:
    people = traffic(running, host, typists=["ada", "grace"], authors=["mary", "emmy"])
    try:
        await people.begin()
        await people.landed(within=BACK_WITHIN)
        yield people
    finally:
        with contextlib.suppress(Exception):
            await people.end()
        for typist in people.typists:
            await typist.close()
        await people.aclose()


def seat(running: Deployment) -> str:
    return running.seat_containers()[0]


@pytest.mark.parametrize("part", ["database", "service", "hub", "engine", "edge", "demo", "seat", "hub-proxy"])
async def test_killed(running: Deployment, host: TestHost, people: Traffic, part: str) -> None:
    match part:
        case "seat":
            failing.kill(running, seat(running))
        case "hub-proxy":
            failing.kill_hub_proxy(running)
        case _:
            failing.kill(running, running.container(part))
    await report(people, host, running, f"killed {part}")


PAIRS = [
    ("service", "database"),
    ("service", "hub"),
    ("hub", "engine"),
    ("seat", "service"),
    ("edge", "service"),
    ("edge", "hub"),
    ("hub", "seat"),
    ("hub", "hub-proxy"),
]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
async def test_cut(running: Deployment, host: TestHost, people: Traffic, pair: tuple[str, str]) -> None:
    one, other = [seat(running) if name == "seat" else running.container(name) for name in pair if name != "hub-proxy"] * (2 if "hub-proxy" in pair else 1)
    cut = failing.cut_inside(running, one, 8001) if "hub-proxy" in pair else failing.cut(running, one, other)
    with cut:
        await asyncio.sleep(20)
    await report(people, host, running, f"cut {pair}")


async def test_full(running: Deployment, host: TestHost, people: Traffic) -> None:
    with failing.full(running.disk, but=64 * 1024):
        await asyncio.sleep(15)
    await report(people, host, running, "full disk")


async def report(people: Traffic, host: TestHost, running: Deployment, name: str) -> None:
    try:
        took = await people.landed(within=BACK_WITHIN)
    except BaseException as exc:
        print(f"\nCHAOS {name}: {type(exc).__name__} {str(exc)[:600]} {people.answers.figures()}", flush=True)
        from pathlib import Path
        Path(f"/tmp/chaos_logs_{name}.txt").write_text(running.composed.logs())
        raise
    await people.end()
    failures = [typist.failures for typist in people.typists]
    lost = [typist.lost_with_its_server for typist in people.typists]
    async with api(running) as http:
        looked = await people.audit(http, host)
    print(f"\nCHAOS {name}: back {took:.1f} s, {looked} versions, failures {failures} lost {lost} {people.answers.figures()}")


def api(running: Deployment) -> httpx.AsyncClient:
    async def by_name(request: httpx.Request) -> None:
        request.headers["Host"] = f"inset.localhost:{running.port}"
        request.extensions["sni_hostname"] = "inset.localhost"

    return httpx.AsyncClient(base_url=f"https://127.0.0.1:{running.port}", verify=running.front.trust(), event_hooks={"request": [by_name]}, timeout=60)
