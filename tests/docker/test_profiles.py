"""What a profile is worth on a real engine: asked of it (`docker inspect`), and tried from inside a kernel.

The hub runs beside the engine here, not in it, so that nothing but its spawner and the engine are in question.
"""

import asyncio
import json
import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker_engine
import pytest
import pytest_asyncio

from tests.docker.base_image import base_image
from tests.support.kernels import run_in_kernel, start_kernel
from tests.support.real_hub import ROOT, RealHub, real_hub

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

IMAGE = "inset-singleuser:profiles-test"
SEAT = "seat-001"
MIB = 2**20
_BUILDKIT = {"DOCKER_BUILDKIT": "1"}
"""Which Debian's docker command has, and builds with only if told."""
PROFILES = """
[profiles.small]
cpu = 0.5
memory = "512 MiB"
pids = 80
disk = "16 MiB"
environment = { TZ = "CET" }
allow_environment = ["PLATFORM_*"]
mounts = [{ source = "DATA", target = "/data/reference" }]
"""


def _docker(*arguments: str) -> str:
    tool = docker_engine.docker()
    assert tool, "run `python3 dev/docker_engine.py` first"
    done = subprocess.run(
        [tool, *arguments], env={**os.environ, **_BUILDKIT}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """Which the containers share with the machine alone."""
    assert docker_engine.answers(), "run `python3 dev/docker_engine.py` first"
    name = f"inset-profiles-{secrets.token_hex(4)}"
    _docker("network", "create", "--internal", name)
    try:
        yield name
    finally:
        for container in _docker("ps", "--all", "--quiet", "--filter", f"network={name}").split():
            _docker("rm", "--force", "--volumes", container)
        _docker("network", "rm", name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def settings(network: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a hub is told that stands beside the engine."""
    tool = docker_engine.docker()
    assert tool
    folder = tmp_path_factory.mktemp("profiles")
    build = ["build", "--quiet", "--file", "singleuser/Dockerfile", "--tag", IMAGE]
    await asyncio.to_thread(_docker, *build, "--build-arg", f"BASE_IMAGE={base_image(tool)}", str(ROOT))
    data = folder / "data"
    data.mkdir()
    (data / "table.csv").write_text("a,b\n")
    profiles = folder / "profiles.toml"
    profiles.write_text(PROFILES.replace("DATA", str(data)))
    [gateway] = json.loads(_docker("network", "inspect", network))[0]["IPAM"]["Config"]
    return {
        "INSET_SPAWNER": "docker",
        "INSET_DOCKER_IMAGE": IMAGE,
        "INSET_DOCKER_NETWORK": network,
        "INSET_HUB_CONNECT_NAME": gateway["Gateway"],
        "INSET_PROFILES_FILE": str(profiles),
        # Nobody is there: nothing here is about the service.
        "INSET_SERVICE_URL": f"http://{gateway['Gateway']}:9",
        "INSET_SEATS": "1",
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealHub]:
    async with real_hub(tmp_path_factory.mktemp("hub"), settings) as hub:
        yield hub


@dataclass
class Running:
    hub: RealHub
    token: str
    kernel: str
    container: dict[str, Any]
    """What the engine says of it."""

    async def run(self, code: str) -> str:
        """Run code in the notebook's kernel."""
        return (await run_in_kernel(self.hub, SEAT, self.token, self.kernel, code, within=120)).strip()


@asynccontextmanager
async def _running(hub: RealHub, network: str, **options: Any) -> AsyncIterator[Running]:
    await hub.start_server(SEAT, server_id=secrets.token_hex(8), **options)
    token = await hub.mint_token(SEAT)
    try:
        async with hub.seat(SEAT, token=token) as http:
            kernel = await start_kernel(http, "Untitled.ipynb")
        [name] = _docker("ps", "--quiet", "--filter", f"name=^{network}-seat").split()
        [container] = json.loads(_docker("inspect", name))
        yield Running(hub, token, kernel, container)
    finally:
        await hub.stop_server(SEAT)


async def test_the_engine_was_asked_for_what_the_profile_says(hub: RealHub, network: str) -> None:
    async with _running(hub, network, profile="small") as seat:
        host, config = seat.container["HostConfig"], seat.container["Config"]
        assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (512 * MIB, 512 * MIB, 80)
        assert host["CpuQuota"] / host["CpuPeriod"] == 0.5
        assert (host["Privileged"], host["ReadonlyRootfs"], host["CapDrop"]) == (False, True, ["ALL"])
        assert not host["CapAdd"]
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert config["User"] == "1000:1000"
        [mount] = [mount for mount in seat.container["Mounts"] if mount["Destination"] == "/data/reference"]
        assert mount["RW"] is False


async def test_a_kernel_has_no_power(hub: RealHub, network: str) -> None:
    async with _running(hub, network, profile="small") as seat:
        assert await seat.run("import os; print(os.getuid(), os.getgid(), os.getgroups())") == "1000 1000 [1000]"
        status = dict(
            line.split(":\t", 1) for line in (await seat.run("print(open('/proc/self/status').read())")).split("\n")
        )
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert {int(status[cap], 16) for cap in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")} == {0}
        for place in ("/etc/x", "/opt/inset/x", "/usr/bin/x", "/x", "/data/reference/x"):
            assert "Read-only file system" in await seat.run(f"open({place!r}, 'w')") or "Permission denied" in (
                await seat.run(f"open({place!r}, 'w')")
            )
        assert await seat.run("print(open('/data/reference/table.csv').read())") == "a,b"


async def test_processes_are_bounded_and_the_server_outlives_a_fork_bomb(hub: RealHub, network: str) -> None:
    bomb = """
import os, time
children = []
try:
    while len(children) < 500:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)
except OSError as error:
    print(type(error).__name__, len(children) < 80)
finally:
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)
"""
    async with _running(hub, network, profile="small") as seat:
        assert await seat.run(bomb) == "BlockingIOError True"
        assert await seat.run("print(6 * 7)") == "42"


async def test_memory_is_bounded_and_the_server_outlives_who_takes_too_much(hub: RealHub, network: str) -> None:
    greedy = """
import subprocess, sys
done = subprocess.run([sys.executable, "-c", "x = bytearray(2 * 1024 ** 3)"])
print(done.returncode)
"""
    async with _running(hub, network, profile="small") as seat:
        # Killed by the system, for its memory.
        assert await seat.run(greedy) == "-9"
        assert await seat.run("print(6 * 7)") == "42"


async def test_the_cores_that_all_processes_together_use_are_bounded(hub: RealHub, network: str) -> None:
    async with _running(hub, network, profile="small") as seat:
        # A machine with little to spare gives less, and none gives more.
        assert 0 < float(await seat.run(BUSY)) < 0.65


async def test_what_can_be_written_is_bounded(hub: RealHub, network: str) -> None:
    async with _running(hub, network, profile="small") as seat:
        assert await seat.run(FILLING) == "No space left on device True\nNo space left on device True"


async def test_what_the_deployment_says_bounds_servers_whose_profile_says_nothing(
    settings: dict[str, str], network: str, tmp_path: Path
) -> None:
    told = {"INSET_SEAT_CPU": "0.75", "INSET_SEAT_DISK": "16 MiB", "INSET_PROFILES_FILE": ""}
    async with real_hub(tmp_path, {**settings, **told}) as hub, _running(hub, network) as seat:
        host = seat.container["HostConfig"]
        assert host["CpuQuota"] / host["CpuPeriod"] == 0.75
        assert await seat.run(FILLING) == "No space left on device True\nNo space left on device True"
        assert 0 < float(await seat.run(BUSY)) < 0.9
        assert await seat.run("print(6 * 7)") == "42"


BUSY = """
import os, time
def used():
    return sum(os.times()[:4])
before, began = used(), time.monotonic()
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        while time.monotonic() < began + 3:
            pass
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
print((used() - before) / (time.monotonic() - began))
"""
"""How many cores three processes get that all want one."""

FILLING = """
import os
for place in (os.path.expanduser("~/big"), "/tmp/big"):
    written = 0
    try:
        with open(place, "wb", buffering=0) as file:
            while written < 64 * 2**20:
                written += file.write(bytes(2**20))
    except OSError as error:
        print(error.strerror, written <= 16 * 2**20)
    os.remove(place)
"""
"""How much home and `/tmp` take, and what is said then."""


async def test_environment_comes_from_the_profile_and_from_the_host(hub: RealHub, network: str) -> None:
    async with _running(hub, network, profile="small", environment={"PLATFORM_PROJECT": "reach"}) as seat:
        assert await seat.run("import os; print(os.environ['TZ'], os.environ['PLATFORM_PROJECT'])") == "CET reach"


async def test_without_a_profile_the_home_can_be_written_to_and_nothing_of_it_is_left(
    hub: RealHub, network: str
) -> None:
    async with _running(hub, network) as seat:
        host = seat.container["HostConfig"]
        assert (host["PidsLimit"], host["ReadonlyRootfs"], host["Memory"]) == (256, True, 1024 * MIB)
        volumes = [mount["Name"] for mount in seat.container["Mounts"]]
        assert len(volumes) == 2
        writing = "import os; print([open(p, 'w').write('x') for p in (os.path.expanduser('~/x'), '/tmp/x')])"
        assert await seat.run(writing) == "[1, 1]"
        assert "Read-only" in await seat.run("open('/var/tmp/x', 'w')")

    # The engine removes them after the container, and has said that this is gone before they are.
    async with asyncio.timeout(60):
        while set(volumes) & set(_docker("volume", "ls", "--quiet").split()):
            await asyncio.sleep(0.5)
