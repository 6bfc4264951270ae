"""The edge in its container, while what is behind it comes and goes."""

import asyncio

import httpx
import pytest

from tests.docker import failing
from tests.docker.deployment import Deployment
from tests.service.conftest import problem

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

BEHIND = ("service", "hub")


async def test_the_edge_starts_while_those_behind_it_have_no_address_and_follows_when_they_come(
    running: Deployment, api: httpx.AsyncClient
) -> None:
    behind = [running.container(part) for part in BEHIND]
    edge = running.container("edge")
    await asyncio.gather(*(asyncio.to_thread(running.docker, "stop", "--time=30", one) for one in behind))
    try:
        before = running.inspected(edge)["RestartCount"]
        failing.kill(running, edge)
        away = await answered(api, "/healthz", 503)
        # It has started once, and not again and again.
        assert running.inspected(edge)["RestartCount"] == before + 1
    finally:
        await asyncio.gather(*(asyncio.to_thread(running.docker, "start", one) for one in behind))

    assert problem(away) == "service-unavailable"
    assert (await answered(api, "/readyz", 200)).is_success


async def answered(api: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    """Ask until the answer has this status: until then there may be none."""
    async with asyncio.timeout(120):
        while True:
            try:
                answer = await api.get(path)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == status:
                return answer
            await asyncio.sleep(0.2)
