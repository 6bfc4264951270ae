"""The networks that restricted seats have for themselves, by the proxy before the engine."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from tests.engine.conftest import FakeEngine
from tests.support.hostile_containers import wanted

Hub = TestClient[web.Request, web.Application]
SEAT = "inset-users-seat-2d001"
NETWORK = f"/v1.41/networks/{SEAT}"
WANTED: dict[str, Any] = {"Name": SEAT, "Driver": "bridge", "Internal": True, "CheckDuplicate": True, "IPAM": None}


async def test_a_seats_own_network_has_no_way_out_whatever_else_is_asked_for(hub: Hub, engine: FakeEngine) -> None:
    hostile = {"Options": {"com.docker.network.bridge.name": "docker0"}, "Attachable": True, "Ingress": True,
               "EnableIPv6": True, "IPAM": {"Config": [{"Subnet": "10.0.0.0/8"}]}}  # fmt: skip

    assert (await hub.post("/v1.41/networks/create", json={**WANTED, **hostile})).status == 201

    [(method, path, body)] = engine.heard
    assert (method, path) == ("POST", "/v1.41/networks/create")
    options = {"com.docker.network.bridge.inhibit_ipv4": "true"}
    assert body == {
        "Name": SEAT, "CheckDuplicate": True, "Driver": "bridge", "Internal": True, "Options": options,
    }  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [{"Name": "inset_database"}, {"Name": "inset-users"}, {"Name": None}, {"Internal": False}, {"Internal": 1}],
)
async def test_no_other_network_is_made(hub: Hub, engine: FakeEngine, changed: dict[str, Any]) -> None:
    assert (await hub.post("/v1.41/networks/create", json={**WANTED, **changed})).status == 403
    assert engine.heard == []


async def test_what_is_listed_is_connected_under_its_own_name(hub: Hub, engine: FakeEngine) -> None:
    # By the service of this Compose project, each of its replicas; another project's of that name is not meant.
    engine.parts = {"hub": ["1" * 64, "2" * 64]}
    asked = {"Container": "hub", "EndpointConfig": {"Aliases": ["database"], "IPAMConfig": {"IPv4Address": "10.0.0.1"}}}

    assert (await hub.post(f"{NETWORK}/connect", json=asked)).status == 200
    assert (await hub.post(f"{NETWORK}/disconnect", json=asked)).status == 200

    endpoint = {"EndpointConfig": {"Aliases": ["hub"]}}
    assert engine.heard == [
        *(("POST", f"{NETWORK}/connect", {**endpoint, "Container": id * 64}) for id in "12"),
        *(("POST", f"{NETWORK}/disconnect", {"Container": id * 64}) for id in "12"),
    ]


async def test_a_listed_container_outside_the_project_is_found_by_its_name(hub: Hub, engine: FakeEngine) -> None:
    engine.named = {"platform-data": "3" * 64}

    assert (await hub.post(f"{NETWORK}/connect", json={"Container": "platform-data"})).status == 200

    assert engine.heard == [
        ("POST", f"{NETWORK}/connect", {"EndpointConfig": {"Aliases": ["platform-data"]}, "Container": "3" * 64})
    ]
    assert (await hub.post(f"{NETWORK}/connect", json={"Container": "hub"})).status == 404


@pytest.mark.parametrize("container", ["database", SEAT, "inset-users-seat-2d002", "3" * 64, "", None, ["hub"]])
async def test_nothing_that_is_not_listed_is_connected(hub: Hub, engine: FakeEngine, container: object) -> None:
    for call in ("connect", "disconnect"):
        assert (await hub.post(f"{NETWORK}/{call}", json={"Container": container})).status == 403
    assert engine.heard == []


@pytest.mark.parametrize("network", ["inset_database", "inset-users", "bridge", "host", "inset-users-seat-2d001x"])
async def test_no_other_network_is_touched(hub: Hub, engine: FakeEngine, network: str) -> None:
    other = f"/v1.41/networks/{network}"
    assert (await hub.get(other)).status == 403
    assert (await hub.delete(other)).status == 403
    for call in ("connect", "disconnect"):
        assert (await hub.post(f"{other}/{call}", json={"Container": "hub"})).status == 403
    assert engine.heard == []


async def test_a_container_joins_the_network_of_its_own_name_and_asks_no_resolver(hub: Hub, engine: FakeEngine) -> None:
    body = wanted(network=SEAT)
    body["HostConfig"]["Dns"] = ["127.0.0.1"]

    assert (await hub.post(f"/v1.41/containers/create?name={SEAT}", json=body)).status == 201
    assert engine.heard[0][2]["HostConfig"]["NetworkMode"] == SEAT
    assert engine.heard[0][2]["HostConfig"]["Dns"] == ["127.0.0.1"]

    neighbours = {**body, "HostConfig": {**body["HostConfig"], "NetworkMode": "inset-users-seat-2d002"}}
    resolver = {**body, "HostConfig": {**body["HostConfig"], "Dns": ["8.8.8.8"]}}
    for refused in (neighbours, resolver):
        assert (await hub.post(f"/v1.41/containers/create?name={SEAT}", json=refused)).status == 403
    assert len(engine.heard) == 1
