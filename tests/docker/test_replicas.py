"""Two replicas of the service behind the edge that is shipped: restarted one after the other while people work."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from compose import Composed

from tests.docker.deployment import Deployment
from tests.docker.traffic import Answers, traffic
from tests.service.conftest import events
from tests.support.hosts import TestHost

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

PATIENCE = 120.0
UP = ("up", "--detach", "--no-build", "--no-deps", "service")


@pytest.fixture
async def two(running: Deployment) -> AsyncIterator[Composed]:
    """The same deployment with two replicas, each of which leaves as docs/operations.md says."""
    more = {"INSET_REPLICAS": "2", "INSET_SHUTDOWN_DELAY": "10"}
    two = replace(running.composed, environment={**running.composed.environment, **more})
    try:
        await asyncio.to_thread(two.compose, *UP)
        await asyncio.to_thread(two.until_well)
        yield two
    finally:
        # Nobody is there any more to whom it would matter how they leave.
        await asyncio.to_thread(two.compose, "kill", "service")
        await asyncio.to_thread(running.composed.compose, *UP)
        await asyncio.to_thread(running.composed.until_well)


async def test_replicas_that_are_restarted_one_by_one_refuse_nobody_and_drop_nothing(
    running: Deployment, two: Composed, host: TestHost, api: httpx.AsyncClient
) -> None:
    people = traffic(running, host, typists=["ada"], authors=["mary", "emmy"], reuse=False)
    heard: list[tuple[str, dict[str, Any]]] = []
    try:
        await people.begin()
        await people.landed(within=PATIENCE)
        [ada] = people.typists
        # Until here the edge may not have known both.
        people.answers.refused.clear()
        people.answers.unanswered = 0
        following = asyncio.create_task(follow(api, host, ada.session_id, heard))

        for replica in two.compose("ps", "--quiet", "service").split():
            await asyncio.to_thread(running.docker, "restart", "--time=40", replica)
            await asyncio.to_thread(two.until_well)
        await people.landed(within=PATIENCE)
        await people.end()
        assert people.answers == Answers(slowest=people.answers.slowest)
        await ada.close()
        await asyncio.wait_for(following, PATIENCE)
        await people.audit(api, host)
        assert not ada.failures
        versions = await ada.history()
    finally:
        await people.stop()
        await people.aclose()
    # Every save was told, once and in order, whichever replica told it.
    ids = [data["id"] for _, data in heard]
    assert ids == sorted(set(ids))
    told = [data["version"] for kind, data in heard if kind == "saved"]
    assert told
    assert told == list(range(2, len(told) + 2))
    assert len(told) == len(versions) - 1


async def follow(
    api: httpx.AsyncClient, host: TestHost, session_id: str, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    """Note a session's events up to its end, across as many streams as that takes; none may be refused or cut."""
    while not heard or heard[-1][0] != "ended":
        after = heard[-1][1]["id"] if heard else 0
        async for event in events(api, session_id, after=after, headers=host.bearer("ada")):
            heard.append(event)
            if event[0] == "ended":
                return
