"""Parts of the deployment die, can't hear each other, or find their disk full, while people work.

All goes on by itself within `BACK_WITHIN`; nothing that was acknowledged is lost or there twice. `make soak` has the
long form (`INSET_CHAOS=long`); the figures of both are added to a file that CI keeps.
"""

import asyncio
import os
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager

import pytest

from tests.docker import failing
from tests.docker.by_edge import by_edge
from tests.docker.deployment import Deployment
from tests.docker.traffic import Traffic, traffic
from tests.service.conftest import document, problem
from tests.support.hosts import TestHost
from tests.support.real_hub import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

BACK_WITHIN = 150.0
"""Seconds after which everybody's saves are stored again. CI's machine may be three times slower than a good one."""
FIGURES = ROOT / ".artifacts" / "chaos.txt"
SEED = int(os.environ.get("INSET_FAULT_SEED", "2026"))
LONG = os.environ.get("INSET_CHAOS") == "long"
_in_soak = pytest.mark.skipif(not LONG, reason="takes minutes: make soak has it")

PARTS = ["service", "hub", "engine", "edge", "demo", "database"]
CUT_ALWAYS = [("service", "database")]
CUT = [
    ("edge", "service"),
    ("service", "hub"),
    ("hub", "engine"),
    ("edge", "hub"),
    ("seat", "service"),
    ("hub", "seat"),
    ("edge", "demo"),
]


@pytest.fixture
async def people(running: Deployment, host: TestHost) -> AsyncIterator[Traffic]:
    """Two in sessions and two by the host's API, at work; held against what is stored in the end."""
    people = traffic(running, host, typists=["ada", "grace"], authors=["mary", "emmy"])
    try:
        await people.begin()
        await people.landed(within=BACK_WITHIN)
        yield people
    finally:
        await people.stop()
        for typist in people.typists:
            await typist.close()
        await people.aclose()


async def test_each_part_and_a_users_server_are_killed_and_everybody_goes_on(
    running: Deployment, host: TestHost, people: Traffic
) -> None:
    for part in random.Random(SEED).sample(PARTS, len(PARTS)):
        failing.kill(running, running.container(part))
        await gone_on(people, f"{part} killed")
    assert not any(typist.failures for typist in people.typists), "sessions go on whatever part is killed"
    failing.kill(running, running.seat_containers()[0])
    async with asyncio.timeout(BACK_WITHIN):
        began = time.monotonic()
        while not any(typist.failures for typist in people.typists):
            await asyncio.sleep(0.1)
    note(f"a user's server killed: its session said so after {time.monotonic() - began:.0f} s")
    await gone_on(people, "a user's server killed")
    await nothing_lost(running, host, people)
    assert {code for typist in people.typists for code in typist.failures} == {"server-died"}


@_in_soak
async def test_the_hubs_proxy_is_killed_and_everybody_goes_on(
    running: Deployment, host: TestHost, people: Traffic
) -> None:
    failing.kill_hub_proxy(running)
    await gone_on(people, "the hub's proxy killed")
    await nothing_lost(running, host, people)


@pytest.mark.parametrize("pair", [*CUT_ALWAYS, *(pytest.param(pair, marks=_in_soak) for pair in CUT)], ids="-".join)
async def test_two_parts_that_hear_nothing_of_each_other_for_a_while_go_on(
    running: Deployment, host: TestHost, people: Traffic, pair: tuple[str, str]
) -> None:
    await while_cut(people, failing.cut(running, *(named(running, part) for part in pair)), "-".join(pair))
    await nothing_lost(running, host, people)


@_in_soak
async def test_a_host_that_hears_nothing_for_a_while_is_told_all_the_same(
    running: Deployment, host: TestHost, people: Traffic
) -> None:
    pair = ("service", "demo")
    await while_cut(people, failing.cut(running, *(running.container(part) for part in pair)), "-".join(pair))
    await nothing_lost(running, host, people)
    began = time.monotonic()
    async with asyncio.timeout(BACK_WITHIN):
        while await asyncio.to_thread(webhooks, running, "waiting"):
            await asyncio.sleep(1)
    note(f"  webhooks delivered after another {time.monotonic() - began:.0f} s")
    assert webhooks(running, "failed") == []


@_in_soak
async def test_a_hub_that_does_not_hear_its_proxy_goes_on(running: Deployment, host: TestHost, people: Traffic) -> None:
    await while_cut(people, failing.cut_inside(running, running.container("hub"), 8001), "hub-its proxy")
    await nothing_lost(running, host, people)


@_in_soak
async def test_a_full_disk_under_the_database_refuses_saves_and_loses_none(
    running: Deployment, host: TestHost, people: Traffic
) -> None:
    with failing.full(running.disk, but=64 * 1024):
        async with asyncio.timeout(BACK_WITHIN):
            # Megabytes that no compression makes smaller: what people save by themselves would fit for long.
            while True:
                large = {"name": "Large", "content": document(secrets.token_urlsafe(2**20))}
                answer = await people.authors[0].call("POST", "/v1/notebooks", json=large)
                if answer is not None and not answer.is_success:
                    break
        assert (answer.status_code, problem(answer)) == (503, "database-unavailable")
        await asyncio.sleep(10)
    await gone_on(people, "database's disk full")
    await nothing_lost(running, host, people)


def webhooks(running: Deployment, state: str) -> list[str]:
    return running.inside("service", "inset", "webhooks", "list", "--state", state).splitlines()


def named(running: Deployment, part: str) -> str:
    return running.seat_containers()[0] if part == "seat" else running.container(part)


async def while_cut(people: Traffic, cut: AbstractContextManager[None], name: str) -> None:
    with cut:
        await asyncio.sleep(60 if LONG else 15)
    await gone_on(people, f"{name} cut")


async def gone_on(people: Traffic, fault: str) -> None:
    """Wait until everybody's saves are stored again, and note how long that took."""
    took = await people.landed(within=BACK_WITHIN)
    note(f"{fault}: saves stored again after {took:.0f} s; {people.answers.figures()}")


async def nothing_lost(running: Deployment, host: TestHost, people: Traffic) -> None:
    """Hold what is stored against what was acknowledged."""
    await people.end()
    acknowledged = sum(len(author.ledger.acknowledged) for author in people.authors)
    written = sum(typist.written for typist in people.typists)
    async with by_edge(running.port, running.front.trust()) as http:
        versions = await people.audit(http, host)
    note(f"  {acknowledged} saves acknowledged by the API, {written} by Jupyter; {versions} versions there, lost: 0")


def note(line: str) -> None:
    FIGURES.parent.mkdir(exist_ok=True)
    with FIGURES.open("a") as file:
        file.write(f"{line}\n")
