"""Seats as services of a Swarm: what they are asked for, and how their ends are told."""

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError
from jupyterhub.spawner import SpawnException

from inset_hub import swarm
from inset_hub.profiles import Mount, Profile
from inset_hub.swarm import SwarmSeatSpawner

SERVICE = "inset-users-seat-2d001"


class Manager:
    """Answers as a manager does; one service, its tasks, and a network."""

    def __init__(self, *tasks: tuple[str, str], gone: bool = False, network: dict[str, Any] | None = None) -> None:
        self.gone, self.network = gone, network
        self.removed: list[str] = []
        self.tasks = [
            {"ServiceID": "new", "Status": {"State": state, "Err": "why"}, "DesiredState": wanted}
            for state, wanted in tasks
        ]

    async def __call__(self, method: str, *asked: str, **filters: Any) -> Any:
        if method == "tasks":
            before_it = {"ServiceID": "old", "Status": {"State": "running"}, "DesiredState": "remove"}
            return [before_it, *self.tasks]
        if method == "remove_service":
            self.removed += asked
        elif method == "inspect_network" and self.network:
            return self.network
        elif method == "inspect_service" and not self.gone:
            return {"ID": "new"}
        else:
            raise APIError("away", response=SimpleNamespace(status_code=404))
        return None


def spawner(manager: Manager, **has: Any) -> SwarmSeatSpawner:
    made = SwarmSeatSpawner()
    made.docker = manager
    made.user = SimpleNamespace(name="seat-001")
    made.object_name, made.object_id = SERVICE, "new"
    for name, value in has.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("tasks", "ended"),
    [
        ([], None),
        ([("new", "running")], None),
        ([("assigned", "running")], None),
        ([("preparing", "running")], None),
        ([("running", "running")], None),
        ([("failed", "shutdown")], "failed: why"),
        ([("complete", "shutdown")], "complete: why"),
        ([("rejected", "running")], "rejected: why"),
        # Its machine is away: nobody has heard of its end, and the managers want it no longer.
        ([("running", "shutdown")], "running: why"),
    ],
)
async def test_a_server_has_ended_when_its_task_has_or_is_no_longer_wanted(
    tasks: list[tuple[str, str]], ended: str | None
) -> None:
    manager = Manager(*tasks)

    assert await spawner(manager).poll() == ended
    # What ended would stay, and the next hub would take it for a server.
    assert manager.removed == (["new"] if ended else [])


async def test_a_service_that_is_gone_has_ended() -> None:
    manager = Manager(gone=True)
    assert await spawner(manager).poll() == 0
    assert manager.removed == []


async def test_managers_that_can_not_tell_say_nothing_about_a_server() -> None:
    class Away(Manager):
        async def __call__(self, method: str, *asked: str, **filters: Any) -> Any:
            raise APIError("no quorum", response=SimpleNamespace(status_code=500))

    with pytest.raises(APIError):
        await spawner(Away()).poll()


async def test_a_start_that_can_not_succeed_says_why() -> None:
    with pytest.raises(RuntimeError, match="rejected: why"):
        await spawner(Manager(("rejected", "running"))).start_object()


def test_a_profile_is_what_the_service_is_asked_for() -> None:
    made = spawner(Manager())
    data = (Mount(source="reference", target="/data"), Mount(source="/srv/x", target="/x"))
    profile = Profile(image="large", network="net", cpu=1.5, memory="2 GiB", pids=99, disk="1 MiB", mounts=data)  # type: ignore[arg-type]

    made.apply_profile(profile)
    made.apply_data_policy("open")

    assert (made.image, made.network_name) == ("large", "net")
    limits = {"NanoCPUs": 1_500_000_000, "MemoryBytes": 2 << 30, "Pids": 99}
    assert made.extra_task_spec["resources"] == {"Limits": limits, "Reservations": {"MemoryBytes": 2 << 30}}
    assert made.extra_task_spec["restart_policy"]["Condition"] == "none"
    assert made.extra_container_spec == {
        "user": "1000:1000", "init": True, "read_only": True, "cap_drop": ["ALL"],
        "privileges": {"NoNewPrivileges": True}, "stop_grace_period": 30 * 10**9,
    }  # fmt: skip
    kinds = {mount["Target"]: (mount["Type"], mount["Source"], mount["ReadOnly"]) for mount in made.mounts}
    assert kinds == {
        "/home/notebook": ("volume", None, False), "/tmp": ("volume", None, False),
        "/data": ("volume", "reference", True), "/x": ("bind", "/srv/x", True),
    }  # fmt: skip
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1048576,uid=1000,gid=1000,mode=0700"}
    assert made.mounts[0]["VolumeOptions"]["DriverConfig"] == {"Name": "local", "Options": options}


def test_a_quota_that_no_service_can_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"profiles\.big: a Swarm bounds disk by 'tmpfs' only"):
        swarm.require_keepable({"big": Profile(disk="1 GiB", disk_by="storage-opt")})  # type: ignore[arg-type]


def test_restricted_data_takes_a_network_of_the_seats_own() -> None:
    made = spawner(Manager(), restricted_networks="inset-restricted")
    made.apply_profile(Profile(network="net"))
    made.apply_data_policy("restricted")

    assert made.network_name == "inset-restricted-seat-001"
    assert made.extra_container_spec["dns_config"] == {"Nameservers": ["127.0.0.1"]}
    made.restricted_networks = ""
    with pytest.raises(SpawnException) as refused:
        made.apply_data_policy("restricted")
    assert refused.value.reason == "policy-not-enforceable"


@pytest.mark.parametrize(
    "network", [None, {"Internal": False, "Driver": "overlay"}, {"Internal": True, "Driver": "bridge"}]
)
async def test_restricted_data_is_refused_where_that_network_is_none(network: dict[str, Any] | None) -> None:
    made = spawner(Manager(network=network), user_options={"data_policy": "restricted"}, network_name="inset-x")

    with pytest.raises(SpawnException) as refused:
        await made.start()
    assert refused.value.reason == "policy-not-enforceable"
