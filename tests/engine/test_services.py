"""The proxy before a Swarm's manager: which services it lets the hub have."""

import copy
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from inset_engine.services import SeatServices
from inset_engine.swarm import create_swarm_app

Hub = TestClient[web.Request, web.Application]

SEAT, OTHER = "seatsservice", "othersservice"
NAMES = {SEAT: "inset-users-seat-2d001", OTHER: "inset_database"}
CREATE = "/v1.41/services/create"
RESTRICTED: dict[str, Any] = {
    "Networks": [{"Target": "inset-restricted-seat-001"}],
    "ContainerSpec": {"DNSConfig": {"Nameservers": ["127.0.0.1"]}},
}
HOSTILE: dict[str, dict[str, Any]] = {
    "another name": {"Name": "inset_database"},
    "a replica on each machine": {"Mode": {"Global": {}}},
    "a port of the machines": {"EndpointSpec": {"Mode": "dnsrr", "Ports": [{"TargetPort": 8888}]}},
    "no endpoint": {"EndpointSpec": None},
    "labels": {"Labels": {"com.docker.stack.namespace": "inset"}},
    "what only the engine reads that way": {"tasktemplate": {"Networks": [{"Target": "inset_database"}]}},
}
HOSTILE_TASKS: dict[str, dict[str, Any]] = {
    "a restart for ever": {"RestartPolicy": {"Condition": "any"}},
    "no word about restarts": {"RestartPolicy": None},
    "another network": {"Networks": [{"Target": "inset_database"}]},
    "a second network": {"Networks": [{"Target": "inset-users"}, {"Target": "inset_database"}]},
    "an alias on it": {"Networks": [{"Target": "inset-users", "Aliases": ["service"]}]},
    "no network": {"Networks": []},
    "another seat's network": {**RESTRICTED, "Networks": [{"Target": "inset-restricted-seat-002"}]},
    "its own network with a resolver": {"Networks": RESTRICTED["Networks"]},
    "another machine": {"Placement": {"Constraints": ["node.role==manager"]}},
    "any machine": {"Placement": None},
    "a plugin": {"Runtime": "plugin"},
    "a log elsewhere": {"LogDriver": {"Name": "syslog"}},
    "no limits": {"Resources": {}},
    "memory without an end": {"Resources": {"Limits": {"MemoryBytes": 0, "Pids": 256}}},
    "processes without an end": {"Resources": {"Limits": {"MemoryBytes": 1 << 30}}},
    "devices": {
        "Resources": {"Limits": {"MemoryBytes": 1 << 30, "Pids": 9}, "Reservations": {"GenericResources": [1]}}
    },
}
HOSTILE_CONTAINERS: dict[str, dict[str, Any]] = {
    "another image": {"Image": "inset-engine:1"},
    "a first program": {"Command": ["/bin/sh"]},
    "new privileges": {"Args": ["python", "-m", "inset_bridge"]},
    "new privileges by the engine": {"Privileges": {"NoNewPrivileges": False}},
    "no seccomp": {"Privileges": {"NoNewPrivileges": True, "Seccomp": {"Mode": "unconfined"}}},
    "a capability": {"CapabilityAdd": ["CAP_SYS_ADMIN"]},
    "capabilities": {"CapabilityDrop": None},
    "root": {"User": "0:0"},
    "a group": {"Groups": ["docker"]},
    "a secret": {"Secrets": [{"SecretName": "inset-service-signing"}]},
    "a configuration": {"Configs": [{"ConfigName": "inset-profiles-1"}]},
    "kernel settings": {"Sysctls": {"net.ipv4.ip_forward": "1"}},
    "names of its own": {"Hosts": ["10.0.0.1 service"]},
    "another resolver": {"DNSConfig": {"Nameservers": ["8.8.8.8"]}},
    "a folder of the machine": {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/tmp"}]},
    "a folder of the machine, to read": {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/a", "ReadOnly": True}]},
    "a volume of another": {"Mounts": [{"Type": "volume", "Source": "inset_hub", "Target": "/a", "ReadOnly": True}]},
    "an allowed volume, to write": {"Mounts": [{"Type": "volume", "Source": "data", "Target": "/data"}]},
    "a volume by a template": {"Mounts": [{"Type": "volume", "Source": "{{.Node.ID}}", "Target": "/a"}]},
    "a volume driver's folder": {"Mounts": [{"Type": "volume", "Target": "/tmp", "VolumeOptions": {
        "DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}}}]},
    "a place that is not its own": {"Mounts": [{"Type": "volume", "Target": "/opt"}]},
    "a file system in memory": {"Mounts": [{"Type": "tmpfs", "Target": "/tmp"}]},
    "memory for files without an end": {"Mounts": [{"Type": "volume", "Target": "/tmp", "VolumeOptions": {
        "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs", "o": "mode=0700"}}}}]},
    "a device's rights": {"Mounts": [{"Type": "volume", "Target": "/tmp", "VolumeOptions": {"DriverConfig": {
        "Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs", "o": "size=1,uid=1,gid=1,mode=0700,dev"}}}}]},
    "a plugin's volume": {"Mounts": [{"Type": "volume", "Target": "/tmp", "VolumeOptions": {
        "DriverConfig": {"Name": "x"}}}]},
}  # fmt: skip


IN_MEMORY = {
    "DriverConfig": {
        "Name": "local",
        "Options": {"type": "tmpfs", "device": "tmpfs", "o": "size=1048576,uid=1000,gid=1000,mode=0700"},
    },
    "Labels": {"inset.seat": "1"},
}


@dataclass
class FakeManager:
    """Two services: a seat's and another."""

    heard: list[tuple[str, str, Any]] = field(default_factory=list)
    """What came, but for looking at a service."""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        parts = request.path.split("/")
        if request.method == "GET" and parts[2] == "services":
            for id, name in NAMES.items():
                if parts[3] in (id, name):
                    return web.json_response({"ID": id, "Spec": {"Name": name}})
            return web.json_response({"message": "no such service"}, status=404)
        body = await request.json() if request.can_read_body else None
        self.heard.append((request.method, request.path, body or dict(request.query)))
        return web.json_response({"ID": SEAT}, status=201 if request.path.endswith("create") else 200)


@pytest.fixture
def manager() -> FakeManager:
    return FakeManager()


@pytest.fixture
async def hub(manager: FakeManager, tmp_path: Path) -> AsyncIterator[Hub]:
    """What the hub sends its calls with."""
    socket = tmp_path / "manager.sock"
    runner = web.AppRunner(manager.app())
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    seats = SeatServices(
        network="inset-users",
        images=frozenset({"inset-singleuser:1"}),
        volumes=frozenset({"data"}),
        placement=("node.role==worker",),
        restricted_networks="inset-restricted",
    )
    async with TestClient(TestServer(create_swarm_app(seats, socket))) as client:
        yield client
    await runner.cleanup()


def wanted(container: dict[str, Any] | None = None, task: dict[str, Any] | None = None) -> dict[str, Any]:
    """Give a body as SwarmSpawner sends it for a seat."""
    own = {"Source": None, "Type": "volume", "ReadOnly": False}
    spec = {
        "Image": "inset-singleuser:1",
        "Args": ["setpriv", "--no-new-privs", "python", "-m", "inset_bridge"],
        "Env": ["A=b"],
        "User": "1000:1000",
        "StopGracePeriod": 30 * 10**9,
        "Mounts": [
            {"Target": "/home/notebook", **own},
            {"Target": "/tmp", **own, "VolumeOptions": IN_MEMORY},
            {"Target": "/data", "Source": "data", "Type": "volume", "ReadOnly": True},
        ],
        "Privileges": {"NoNewPrivileges": True},
        "ReadOnly": True,
        "Init": True,
        "CapabilityDrop": ["ALL"],
    }
    full = {
        "ContainerSpec": {**spec, **(container or {})},
        "Resources": {"Limits": {"MemoryBytes": 1 << 30, "Pids": 256}, "Reservations": {"MemoryBytes": 1 << 30}},
        "RestartPolicy": {"Condition": "none", "Delay": 0, "MaxAttempts": 0, "Window": 0},
        "Placement": {"Constraints": ["node.role==worker"]},
        "Networks": [{"Target": "inset-users"}],
        **{name: value for name, value in (task or {}).items() if name != "ContainerSpec"},
    }
    return {"Name": "inset-users-seat-2d001", "TaskTemplate": full, "EndpointSpec": {"Mode": "dnsrr"}}


async def test_a_seats_service_is_created_of_what_was_understood(hub: Hub, manager: FakeManager) -> None:
    asked = wanted()

    assert (await hub.post(CREATE, json=asked)).status == 201

    understood = copy.deepcopy(asked)
    for mount in understood["TaskTemplate"]["ContainerSpec"]["Mounts"][:2]:
        del mount["Source"], mount["ReadOnly"]
    understood["TaskTemplate"]["RestartPolicy"] = {"Condition": "none"}
    assert manager.heard == [("POST", CREATE, understood)]


async def test_a_restricted_seat_is_put_on_its_own_network(hub: Hub, manager: FakeManager) -> None:
    body = wanted(RESTRICTED["ContainerSpec"], {"Networks": RESTRICTED["Networks"]})

    assert (await hub.post(CREATE, json=body)).status == 201

    assert manager.heard[0][2]["TaskTemplate"]["Networks"] == RESTRICTED["Networks"]


BODIES = {
    **{what: {**wanted(), **more} for what, more in HOSTILE.items()},
    **{what: wanted(more.get("ContainerSpec"), more) for what, more in HOSTILE_TASKS.items()},
    **{what: wanted(more) for what, more in HOSTILE_CONTAINERS.items()},
    "a list": [],
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_no_other_service_is_created(hub: Hub, manager: FakeManager, body: Any) -> None:
    assert (await hub.post(CREATE, json=body)).status == 403
    assert manager.heard == []


async def test_a_seats_service_is_looked_at_and_removed_by_its_id(hub: Hub, manager: FakeManager) -> None:
    for named in (SEAT, NAMES[SEAT]):
        assert (await hub.get(f"/v1.41/services/{named}")).status == 200
        assert (await hub.delete(f"/v1.41/services/{named}")).status == 200
    assert manager.heard == [("DELETE", f"/v1.41/services/{SEAT}", {})] * 2
    assert (await hub.get("/v1.41/services/inset-users-seat-2d002")).status == 404


@pytest.mark.parametrize("named", [OTHER, NAMES[OTHER]])
async def test_no_other_service_is_touched(hub: Hub, manager: FakeManager, named: str) -> None:
    for method in ("GET", "DELETE"):
        assert (await hub.request(method, f"/v1.41/services/{named}")).status == 403
    assert (await hub.post(f"/v1.41/services/{named}/update", json={})).status == 403
    assert manager.heard == []


@pytest.mark.parametrize("filters", [{"service": ["inset-users-seat-2d001"]}, {"name": ["inset-users-seat-2d001."]}])
async def test_a_seats_tasks_are_told(hub: Hub, manager: FakeManager, filters: dict[str, Any]) -> None:
    assert (await hub.get("/v1.41/tasks", params={"filters": json.dumps(filters)})).status == 200
    assert manager.heard == [("GET", "/v1.41/tasks", {"filters": json.dumps(filters)})]


@pytest.mark.parametrize(
    "filters",
    [
        "", "{", "[]", "{}", '{"name": []}', '{"name": ["inset"]}', '{"name": ["inset-users-seat-2d001"]}',
        '{"name": ["inset-users-seat-2d001.", "inset"]}', '{"service": ["inset_database"]}',
        '{"service": ["inset-users-seat-2d001."]}', '{"node": ["self"]}',
        '{"service": ["inset-users-seat-2d001"], "name": ["x"]}', '{"name": 1}',
    ],
)  # fmt: skip
async def test_no_other_tasks_are_told(hub: Hub, manager: FakeManager, filters: str) -> None:
    assert (await hub.get("/v1.41/tasks", params={"filters": filters})).status == 403
    assert manager.heard == []


@pytest.mark.parametrize(
    "call", ["GET /nodes", "GET /secrets", "GET /swarm", "POST /swarm/leave", "GET /services",
             "POST /containers/create", "GET /networks/inset_database",
             "GET /networks/inset-restricted", "POST /networks/create", "GET /info"],
)  # fmt: skip
async def test_nothing_else_of_the_manager_is_let_through(hub: Hub, manager: FakeManager, call: str) -> None:
    method, path = call.split()
    assert (await hub.request(method, f"/v1.41{path}", json={} if method == "POST" else None)).status == 403
    assert manager.heard == []


async def test_a_seats_own_network_is_looked_at(hub: Hub, manager: FakeManager) -> None:
    assert (await hub.get("/v1.41/networks/inset-restricted-seat-001")).status == 200
