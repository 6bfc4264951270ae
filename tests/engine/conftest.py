"""The proxy before the engine, in front of an engine of our own making that notes what reaches it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from inset_engine.bodies import Seats
from inset_engine.proxy import create_app
from tests.support.hostile_containers import IMAGE, NETWORK

SEAT, OTHER = "a" * 64, "b" * 64


@dataclass
class FakeEngine:
    """Two containers: a seat's and another."""

    heard: list[tuple[str, str, Any]] = field(default_factory=list)
    """What came, but for looking at a container."""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        named = {"inset-users-seat-2d001": SEAT, SEAT: SEAT, "database": OTHER, OTHER: OTHER}
        parts = request.path.split("/")
        if request.method == "GET" and parts[2] == "containers":
            if parts[3] not in named:
                return web.json_response({"message": "No such container"}, status=404)
            id = named[parts[3]]
            name = "/inset-users-seat-2d001" if id == SEAT else "/database"
            return web.json_response({"Id": id, "Name": name, "Config": {"Env": ["PASSWORD=secret"]}})
        body = await request.json() if request.can_read_body else None
        self.heard.append((request.method, request.path_qs, body))
        return web.json_response({"Id": SEAT}, status=201 if request.path.endswith("create") else 200)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def hub(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """What the hub sends its calls with."""
    socket = tmp_path / "engine.sock"
    runner = web.AppRunner(engine.app())
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    seats = Seats(network=NETWORK, prefix=NETWORK, images=frozenset({IMAGE}), volumes=frozenset({"data"}))
    async with TestClient(TestServer(create_app(seats, socket))) as client:
        yield client
    await runner.cleanup()
