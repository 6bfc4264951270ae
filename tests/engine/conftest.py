"""The proxy before the engine, in front of an engine of our own making that notes what reaches it."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from inset_engine.bodies import Seats
from inset_engine.proxy import create_app
from tests.support.hostile_containers import IMAGE, NETWORK

PROJECT = "inset-project"
SEAT, OTHER = "a" * 64, "b" * 64


REACH = frozenset({"hub", "service", "platform-data"})


@dataclass
class FakeEngine:
    """Two containers: a seat's and another."""

    heard: list[tuple[str, str, Any]] = field(default_factory=list)
    """What came, but for looking at a container."""
    parts: dict[str, list[str]] = field(default_factory=dict)
    """The containers of this Compose project's services."""
    named: dict[str, str] = field(default_factory=dict)
    """Others, by their names."""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        named = {"inset-users-seat-2d001": SEAT, SEAT: SEAT, "database": OTHER, OTHER: OTHER}
        parts = request.path.split("/")
        if request.path.endswith("/containers/json"):
            return web.json_response([{"Id": id} for id in self._found(json.loads(request.query["filters"]))])
        if request.method == "GET" and parts[2] == "containers" and parts[3] == gethostname():
            labels = {"com.docker.compose.project": PROJECT}
            return web.json_response({"Id": OTHER, "Name": "/engine", "Config": {"Labels": labels}})
        if request.method == "GET" and parts[2] == "containers":
            if parts[3] not in named:
                return web.json_response({"message": "No such container"}, status=404)
            id = named[parts[3]]
            name = "/inset-users-seat-2d001" if id == SEAT else "/database"
            return web.json_response({"Id": id, "Name": name, "Config": {"Env": ["PASSWORD=secret"]}})
        body = await request.json() if request.can_read_body else None
        self.heard.append((request.method, request.path_qs, body))
        return web.json_response({"Id": SEAT}, status=201 if request.path.endswith("create") else 200)

    def _found(self, filters: dict[str, list[str]]) -> list[str]:
        if "name" in filters:
            [name] = filters["name"]
            return [id for known, id in self.named.items() if re.fullmatch(name, f"/{known}")]
        project, service = (label.split("=")[1] for label in filters["label"])
        return self.parts.get(service, []) if project == PROJECT else []


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
    seats = Seats(network=NETWORK, prefix=NETWORK, images=frozenset({IMAGE}), volumes=frozenset({"data"}), reach=REACH)
    async with TestClient(TestServer(create_app(seats, socket))) as client:
        yield client
    await runner.cleanup()
