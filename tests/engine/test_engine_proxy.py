"""What the proxy before the Docker engine lets through, and what it does not."""

import io
import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from yarl import URL

from tests.engine.conftest import OTHER, SEAT, FakeEngine
from tests.support.hostile_containers import CALLS, bodies, wanted

Hub = TestClient[web.Request, web.Application]
CREATE = "/v1.41/containers/create?name=inset-users-seat-2d001"


async def test_a_seats_container_is_created_of_what_was_understood(hub: Hub, engine: FakeEngine) -> None:
    answer = await hub.post(CREATE, json=wanted())

    assert (answer.status, await answer.json()) == (201, {"Id": SEAT})
    [(method, path, body)] = engine.heard
    assert (method, path) == ("POST", CREATE)
    kept = {name: value for name, value in wanted().items() if name not in ("Hostname", "Tty")}
    host = {name: value for name, value in wanted()["HostConfig"].items() if value != []}
    assert body == {**kept, "HostConfig": host}


async def test_a_volume_that_the_operator_allows_can_be_read(hub: Hub, engine: FakeEngine) -> None:
    body = wanted()
    body["HostConfig"]["Binds"] = ["data:/home/notebook/data:ro"]
    body["Volumes"] = {"/home/notebook/data": {}}

    assert (await hub.post(CREATE, json=body)).status == 201

    assert engine.heard[0][2]["HostConfig"]["Binds"] == ["data:/home/notebook/data:ro"]


@pytest.mark.parametrize("body", bodies().values(), ids=bodies())
async def test_a_hostile_container_is_refused_and_never_reaches_the_engine(
    hub: Hub, engine: FakeEngine, body: str
) -> None:
    answer = await hub.post(CREATE, data=body)

    assert answer.status == 403
    assert (await answer.json())["message"].startswith("refused: ")
    assert engine.heard == []


@pytest.mark.parametrize("needed", ["NetworkMode", "CapDrop", "SecurityOpt", "Memory", "PidsLimit"])
async def test_what_confines_a_seat_can_not_be_left_out(hub: Hub, engine: FakeEngine, needed: str) -> None:
    body = wanted()
    del body["HostConfig"][needed]

    answer = await hub.post(CREATE, json=body)

    assert (answer.status, await answer.json()) == (403, {"message": f"refused: {needed} is needed"})
    assert engine.heard == []


@pytest.mark.parametrize(
    "query",
    ["", "?name=database", "?name=inset-users-seat-2d001x", "?name=inset-users-seat-2d001&platform=x",
     "?name=inset-users-seat-2d001&name=database", "?name=other-inset-users-seat-001", "?name=inset-users-seat-001%0a",
     "?name=inset-users-seat-2d00001"],
)  # fmt: skip
async def test_a_container_of_another_name_is_refused(hub: Hub, engine: FakeEngine, query: str) -> None:
    assert (await hub.post(f"/v1.41/containers/create{query}", json=wanted())).status == 403
    assert engine.heard == []


async def test_a_hub_may_have_more_than_a_thousand_seats(hub: Hub, engine: FakeEngine) -> None:
    assert (await hub.post("/v1.41/containers/create?name=inset-users-seat-2d1000", json=wanted())).status == 201


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_a_call_that_no_seat_needs_is_refused(hub: Hub, engine: FakeEngine, method: str, path: str) -> None:
    for prefix in ("/v1.41", ""):
        assert (await hub.request(method, prefix + path)).status == 403
    assert engine.heard == []


CALLS_OF_A_SEAT: list[tuple[str, str, str]] = [
    ("POST", "/start", f"/v1.41/containers/{SEAT}/start"),
    ("POST", "/stop?t=10", f"/v1.41/containers/{SEAT}/stop?t=10"),
    ("DELETE", "?v=True&link=False&force=False", f"/v1.41/containers/{SEAT}?v=True&link=False&force=False"),
]


@pytest.mark.parametrize(("method", "call", "reached"), CALLS_OF_A_SEAT)
async def test_a_seats_container_is_started_stopped_and_removed_and_no_other(
    hub: Hub, engine: FakeEngine, method: str, call: str, reached: str
) -> None:
    for container in (OTHER, OTHER[:12], "database"):
        assert (await hub.request(method, f"/v1.41/containers/{container}{call}")).status in (403, 404)
    assert engine.heard == []

    # A body is not passed on: old engines take a host configuration when they start a container.
    await hub.request(method, f"/v1.41/containers/inset-users-seat-2d001{call}", json={"Privileged": True})

    assert engine.heard == [(method, reached, None)]


async def test_what_other_containers_hold_is_not_told(hub: Hub) -> None:
    seat: dict[str, Any] = await (await hub.get("/v1.41/containers/inset-users-seat-2d001/json")).json()
    assert seat["Id"] == SEAT
    assert (await hub.get("/v1.41/containers/nobody/json")).status == 404
    refused = await hub.get("/v1.41/containers/database/json")
    assert refused.status == 403
    assert "secret" not in await refused.text()


@pytest.mark.parametrize(
    "path",
    ["/v1.41/containers/inset-users-seat-2d001/../database/json", "/v1.41/containers/%2e%2e/info",
     "/v1.41/containers/inset-users-seat-2d001%2f..%2fdatabase/json", "//v1.41/info", "/v1.41/../info",
     "/v1.41/images/inset-singleuser:test/../../info/json", "/v9/info", "/v1.41/images/%2finset-singleuser:test/json"],
)  # fmt: skip
async def test_no_way_of_writing_an_address_leads_elsewhere(hub: Hub, engine: FakeEngine, path: str) -> None:
    answer = await hub.session.get(URL(str(hub.make_url("/"))[:-1] + path, encoded=True))

    assert answer.status in (403, 404)
    assert "secret" not in await answer.text()
    assert engine.heard == []


async def test_a_body_without_an_end_is_refused(hub: Hub, engine: FakeEngine) -> None:
    body = json.dumps({**wanted(), "Env": ["A=" + "b" * (1 << 20)]})

    assert (await hub.post(CREATE, data=io.BytesIO(body.encode()))).status == 403
    assert engine.heard == []
