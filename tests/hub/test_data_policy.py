"""What a policy means to the spawners: restricted servers get a network of their own, or do not start."""

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError
from jupyterhub.spawner import SpawnException

from inset_hub import profiles
from inset_hub.docker import DockerSeatSpawner
from inset_hub.local import LocalSeatSpawner
from inset_hub.own_network import OPTIONS, OwnNetwork

OPTIONS_OF_A_SESSION = {"server_id": "11111111-2222", "origins": [], "may": ["run"], "data_policy": "restricted"}


class Engine:
    """Networks, and who is on them, called as DockerSpawner calls the engine."""

    def __init__(self, networks: dict[str, dict[str, Any]] | None = None) -> None:
        self.networks = networks or {}
        self.away: set[str] = set()

    async def __call__(self, method: str, *arguments: Any, **options: Any) -> Any:
        return getattr(self, method)(*arguments, **options)

    def inspect_network(self, name: str) -> dict[str, Any]:
        if name not in self.networks:
            raise _failed(404, "No such network")
        return self.networks[name]

    def create_network(self, name: str, **options: Any) -> None:
        self.networks[name] = {"Internal": options["internal"], "Options": options["options"], "on": set()}

    def connect_container_to_network(self, part: str, name: str, aliases: list[str]) -> None:
        if part in self.away:
            raise _failed(404, "No such container")
        if part in self.networks[name]["on"]:
            raise _failed(403, "endpoint already exists in network")
        assert aliases == [part]
        self.networks[name]["on"].add(part)

    def disconnect_container_from_network(self, part: str, name: str) -> None:
        self.networks[name]["on"].discard(part)

    def remove_network(self, name: str) -> None:
        if self.networks[name]["on"]:
            raise _failed(403, "network has active endpoints")
        del self.networks[name]


def _failed(status: int, told: str) -> APIError:
    return APIError("", SimpleNamespace(status_code=status, reason=""), told)


async def test_an_own_network_leads_nowhere_and_holds_what_is_listed():
    engine = Engine()
    network = OwnNetwork("seats-seat-001", ["hub", "service"], engine)

    await network.open()

    assert engine.networks == {
        "seats-seat-001": {"Internal": True, "Options": OPTIONS, "on": {"hub", "service"}},
    }
    await network.close()
    assert engine.networks == {}


async def test_what_was_started_anew_is_connected_again_and_nothing_twice():
    engine = Engine()
    network = OwnNetwork("seats-seat-001", ["hub", "service"], engine)
    await network.open()
    engine.networks["seats-seat-001"]["on"].remove("service")

    await network.connect()

    assert engine.networks["seats-seat-001"]["on"] == {"hub", "service"}


async def test_a_network_that_a_killed_hub_left_is_taken_and_another_of_its_name_is_not():
    left = {"Internal": True, "Options": OPTIONS, "on": {"service"}}
    engine = Engine({"seats-seat-001": left})
    await OwnNetwork("seats-seat-001", ["hub", "service"], engine).open()
    assert left["on"] == {"hub", "service"}

    for wrong in ({"Internal": False, "Options": OPTIONS}, {"Internal": True, "Options": {}}):
        engine = Engine({"seats-seat-001": {**wrong, "on": set()}})
        with pytest.raises(RuntimeError, match="none of a restricted server"):
            await OwnNetwork("seats-seat-001", ["hub"], engine).open()
        assert engine.networks["seats-seat-001"]["on"] == set()


async def test_a_server_does_not_start_where_what_it_needs_is_away():
    engine = Engine()
    engine.away = {"service"}

    with pytest.raises(APIError):
        await OwnNetwork("seats-seat-001", ["hub", "service"], engine).open()


def _docker(reach: list[str]) -> DockerSeatSpawner:
    spawner = DockerSeatSpawner(prefix="seats", restricted_reach=reach)
    spawner.user = SimpleNamespace(name="seat-001", escaped_name="seat-001")
    return spawner


def _apply(spawner: Any, **options: Any) -> None:
    offered = profiles.read("", image="inset-singleuser", network="open-network")
    profiles.applying(offered, {})(spawner, {**OPTIONS_OF_A_SESSION, **options})
    spawner.user_options = options


def test_a_restricted_container_is_on_its_own_network_whatever_its_profile_names():
    spawner = _docker(["hub", "service"])

    _apply(spawner)
    assert spawner.network_name == spawner.container_name != "open-network"
    assert spawner.extra_host_config["dns"] == ["127.0.0.1"]
    assert spawner.environment["INSET_DATA_POLICY"] == "restricted"

    # The seat's next server is another's.
    _apply(spawner, data_policy="open")
    assert spawner.network_name == "open-network"
    assert "dns" not in spawner.extra_host_config
    assert spawner.own_network is None


@pytest.mark.parametrize("spawner", [_docker([]), LocalSeatSpawner()], ids=["docker", "local"])
def test_a_spawner_that_can_not_keep_data_inside_refuses(spawner: Any):
    with pytest.raises(SpawnException, match="policy-not-enforceable"):
        _apply(spawner)
    _apply(spawner, data_policy="open")


def test_an_operator_can_acknowledge_that_processes_reach_every_network():
    _apply(LocalSeatSpawner(allow_open_network=True))


@pytest.mark.parametrize("policy", ["Restricted", "", None, ["restricted"], "stricter"])
def test_a_policy_that_nobody_knows_is_refused(policy: Any):
    with pytest.raises(ValueError, match="data_policy"):
        _apply(_docker(["hub", "service"]), data_policy=policy)
