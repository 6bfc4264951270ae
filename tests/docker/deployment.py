"""compose.yaml on a real engine, under a name and on ports of its own.

    with deployment(docker, base_image) as running:
        running.seat_containers()

What it started is gone when the block is left: containers, networks and volumes. The images stay, for the next time.
"""

import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import docker_engine
import httpx

from tests.support.real_hub import ROOT, free_ports

_UP_SECONDS = 120


@dataclass(frozen=True)
class Deployment:
    name: str
    """Of the compose project, and of the seats' network."""
    service_port: int
    hub_port: int
    tool: str
    """The docker command."""
    environment: Mapping[str, str] = field(repr=False)

    @property
    def service_url(self) -> str:
        return f"http://localhost:{self.service_port}"

    def docker(self, *arguments: str) -> str:
        return _run([self.tool, *arguments], self.environment)

    def compose(self, *arguments: str, stdin: str = "") -> str:
        words = docker_engine.compose()
        assert words, "run `python3 dev/docker_engine.py` first"
        # From elsewhere: a developer's own .env has no say here.
        command = [*words, "--project-directory", str(ROOT), "-f", str(ROOT / "compose.yaml"), "-p", self.name]
        return _run([*command, *arguments], self.environment, stdin)

    def seat_containers(self) -> list[str]:
        """The names of the containers that the hub has started."""
        shown = self.docker("ps", "--all", "--filter", f"name=^{self.name}-seat", "--format", "{{.Names}}")
        return shown.split()

    def on_users_network(self) -> set[str]:
        """The names of the containers that are attached to the seats' network."""
        one_a_line = "{{range .Containers}}{{println .Name}}{{end}}"
        return set(self.docker("network", "inspect", self.name, "--format", one_a_line).split())


@contextmanager
def deployment(tool: str, base_image: str) -> Iterator[Deployment]:
    """Build the images, start everything, wait until it answers, and remove it all in the end."""
    service_port, hub_port = free_ports(2)
    name = f"inset-test-{secrets.token_hex(4)}"
    settings = {
        "INSET_TAG": "test",
        "INSET_BASE_IMAGE": base_image,
        "INSET_HUB_TOKEN": secrets.token_hex(24),
        "INSET_PUBLIC_URL": f"http://localhost:{service_port}",
        "INSET_HUB_PUBLIC_URL": f"http://nb.localhost:{hub_port}",
        "INSET_USERS_NETWORK": name,
        "SERVICE_PORT": str(service_port),
        "HUB_PORT": str(hub_port),
        "INSET_SEATS": "2",
    }
    running = Deployment(name, service_port, hub_port, tool, {**os.environ, **_builder(tool), **settings})
    try:
        running.compose("build")
        running.compose("up", "--detach", "--no-build")
        _until_ready(running)
        yield running
    finally:
        if seats := running.seat_containers():
            running.docker("rm", "--force", "--volumes", *seats)
        running.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")


def _builder(tool: str) -> dict[str, str]:
    """Compose 1.29 builds by the docker command on the path, and Debian's needs to be told to use BuildKit."""
    version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    major = int(version.split("version ")[1].split(".")[0])
    # Newer ones use it by themselves where they have its plugin; told to, they fail where they have not.
    buildkit = {"DOCKER_BUILDKIT": "1", "COMPOSE_DOCKER_CLI_BUILD": "1"} if major < 23 else {}
    return {"PATH": docker_engine.search_path(), **buildkit}


def _until_ready(running: Deployment) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{running.service_port}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    raise AssertionError(f"not ready after {_UP_SECONDS} s\n{running.compose('logs', '--no-color', '--tail=40')}")


def _run(command: list[str], environment: Mapping[str, str], stdin: str = "") -> str:
    done = subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[-3:]} failed\n{done.stdout[-6000:]}{done.stderr[-6000:]}"
    return done.stdout
