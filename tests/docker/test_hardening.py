"""What each part of the deployment may do, and whom it reaches, as the engine and the parts themselves tell it."""

import json

import httpx
import pytest

from tests.docker.deployment import METRICS_TOKEN, PARTS, Deployment
from tests.docker.reach import address, ask_from
from tests.docker.sessions import opened

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

ACCOUNTS = {"database": "1002", "service": "1000", "hub": "1001", "edge": "1003", "demo": "1004"}
NETWORKS = {
    "database": {"database"},
    "service": {"outside", "hub", "demo", "database", "users"},
    "hub": {"hub", "engine", "users"},
    "engine": {"engine"},
    "edge": {"outside", "hub", "demo"},
    "demo": {"demo"},
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_has_no_power_that_it_does_not_need(running: Deployment, part: str) -> None:
    told = running.inspected(running.container(part))
    host = told["HostConfig"]

    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert 0 < host["PidsLimit"] <= 256
    assert host["Memory"] > 0
    assert told["State"]["Health"]["Status"] == "healthy"
    # In the engine's own words, and in the kernel's: real, effective, saved.
    accounts = running.inside(part, "sh", "-c", "grep ^Uid /proc/1/status").split()[1:]
    assert set(accounts) == {ACCOUNTS.get(part, "65534")}
    [capabilities] = set(running.inside(part, "sh", "-c", "grep -h ^CapBnd /proc/1/status").split()[1:])
    assert int(capabilities, 16) == 0


@pytest.mark.parametrize(
    ("part", "capabilities"), [("secrets", ["CHOWN", "DAC_OVERRIDE", "FOWNER"]), ("singleuser", [])]
)
def test_what_is_root_runs_once_and_reaches_nobody(running: Deployment, part: str, capabilities: list[str]) -> None:
    told = running.inspected(running.container(part, ended=True))
    host = told["HostConfig"]

    assert (told["State"]["Status"], told["State"]["ExitCode"]) == ("exited", 0)
    assert told["Config"]["User"] == "0:0"
    assert host["ReadonlyRootfs"]
    assert (host["NetworkMode"], host["CapDrop"]) == ("none", ["ALL"])
    assert sorted(one.removeprefix("CAP_") for one in host["CapAdd"] or []) == capabilities
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert 0 < host["PidsLimit"] <= 256
    assert "/var/run/docker.sock" not in [mount["Destination"] for mount in told["Mounts"]]


@pytest.mark.parametrize("part", PARTS)
def test_the_engines_socket_is_the_proxys_alone(running: Deployment, part: str) -> None:
    mounts = [mount["Destination"] for mount in running.inspected(running.container(part))["Mounts"]]

    assert ("/var/run/docker.sock" in mounts) == (part == "engine")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_on_the_networks_that_it_needs(running: Deployment, part: str) -> None:
    settings = running.inspected(running.container(part))["NetworkSettings"]
    published = [port for bindings in settings["Ports"].values() for port in bindings or []]

    assert {network.removeprefix(f"{running.name}_") for network in settings["Networks"]} == {
        network if network != "users" else running.name for network in NETWORKS[part]
    }
    assert published == ([{"HostIp": "127.0.0.1", "HostPort": str(running.port)}] if part == "edge" else [])


def test_only_the_edges_network_leads_anywhere(running: Deployment) -> None:
    for network in ("hub", "demo", "database", "engine"):
        shown = running.docker("network", "inspect", f"{running.name}_{network}", "--format", "{{.Internal}}")
        assert shown.strip() == "true", network
    assert running.docker("network", "inspect", running.name, "--format", "{{.Internal}}").strip() == "true"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_reads_its_own_secrets_and_no_others(running: Deployment, part: str) -> None:
    folders = running.inside(part, "sh", "-c", "ls /secrets 2> /dev/null || true").split()
    read = "for f in /secrets/*; do ls $f > /dev/null 2>&1 && echo ${f##*/}; done; true"

    if part == "engine":
        assert folders == []
    else:
        assert running.inside(part, "sh", "-c", read).split() in ([part], [])
        assert running.inside(part, "sh", "-c", f"ls /secrets/{part}").split()


def test_no_secret_is_told_by_the_engine_or_in_a_log(running: Deployment) -> None:
    settings = running.inside("service", "cat", "/secrets/service/settings.env")
    found = [line.partition("=")[2] for line in settings.splitlines()]
    keys = running.inside("demo", "cat", "/secrets/demo/key.pem").splitlines()[1:2]
    secrets = [value.partition("inset:")[2].partition("@")[0] or value for value in found] + keys
    assert len(secrets) == 5
    assert all(len(secret) >= 48 for secret in secrets if secret != METRICS_TOKEN)

    told = json.dumps([running.inspected(running.container(part)) for part in PARTS]) + running.composed.logs()

    assert not [secret for secret in secrets if secret in told]


async def test_a_seats_container_has_no_power_and_no_way_out(running: Deployment, api: httpx.AsyncClient) -> None:
    seat = await opened(running, api, "Confined")

    def inside(script: str) -> str:
        return running.docker("exec", seat, "sh", "-c", script).strip()

    assert inside("id -u") == "1000"
    assert inside("test -e /var/run/docker.sock || echo none") == "none"
    assert inside("grep CapBnd /proc/self/status").split()[1].strip("0") == ""
    assert inside("grep NoNewPrivs /proc/self/status").split()[1] == "1"
    host = running.inspected(seat)["HostConfig"]
    assert (host["Memory"], host["PidsLimit"], host["Binds"]) == (1 << 30, 256, None)
    assert host["CpuQuota"] / host["CpuPeriod"] == 2
    for place in ("$HOME", "/tmp"):
        full = f"dd if=/dev/zero of={place}/big bs=1M count=300 2>&1; stat -c %s {place}/big; rm {place}/big"
        assert "No space left on device" in inside(full)
    assert set(running.inspected(seat)["NetworkSettings"]["Networks"]) == {running.name}

    assert ask_from(running, seat, ("hub", 8081), ("service", 8091)) == ["reached", "reached"]
    others = [(address(running, part), port) for part, port in
              (("database", 5432), ("engine", 2375), ("edge", 8443), ("demo", 8090))]  # fmt: skip
    named = [("database", 5432), ("engine", 2375), ("edge", 8443), ("demo", 8090)]
    assert set(ask_from(running, seat, *others, *named)) == {"not reached"}
    # The control: the service, which needs it, does reach the database at that very address.
    assert ask_from(running, running.container("service"), others[0]) == ["reached"]


def test_the_database_is_reached_by_the_service_and_nobody_else(running: Deployment) -> None:
    database = (address(running, "database"), 5432)

    assert ask_from(running, running.container("service"), database) == ["reached"]
    for part in ("hub", "demo", "edge", "engine"):
        assert ask_from(running, running.container(part), database) == ["not reached"], part
