"""compose.yaml on a real engine, as `make up` starts it, under a name and on a port of its own.

    with deployment(folder) as running:
        running.seat_containers()

What it started is gone when the block is left: containers, networks and volumes. The images stay, for the next time.
"""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose import Composed, Failed

from tests.docker import images
from tests.docker.disks import small_disk
from tests.support.edge import SERVICE_NAME, Edge
from tests.support.real_hub import ROOT, free_ports

TIMES = ROOT / ".artifacts" / "containers.txt"

PROFILES = '[profiles.small]\ndisk = "16 MiB"\n'
"""Beside what everybody gets, servers with a disk that is soon full."""

METRICS_TOKEN = "what-prometheus-shows"

PARTS = ("database", "service", "hub", "engine", "edge", "demo")
"""What runs, besides the seats."""


@dataclass(frozen=True)
class Deployment:
    name: str
    """Of the compose project, and of the seats' network."""
    port: int
    """The edge's, on this machine's loopback."""
    image: str
    """What the seats are made of."""
    composed: Composed
    front: Edge
    """The way in, for what browsers and hosts ask."""
    disk: Path
    """The database's folder, on a file system of its own where this process may make one."""

    @property
    def service_url(self) -> str:
        return f"https://{SERVICE_NAME}:{self.port}"

    @property
    def demo_url(self) -> str:
        return f"https://fieldnotes.localhost:{self.port}"

    def docker(self, *arguments: str) -> str:
        return self.composed.docker(*arguments)

    def inside(self, part: str, *command: str, stdin: str = "") -> str:
        """Run a command in a part's container."""
        return self.composed.docker("exec", "--interactive", self.container(part), *command, stdin=stdin)

    def container(self, part: str, *, ended: bool = False) -> str:
        """Give the id of a part's container; with `ended`, of one that need not run any more."""
        labels = (
            f"label=com.docker.compose.{key}={value}" for key, value in (("project", self.name), ("service", part))
        )
        filters = [word for label in labels for word in ("--filter", label)]
        every = ("--all",) if ended else ()
        return self.docker("ps", "--quiet", "--no-trunc", *every, *filters).strip()

    def inspected(self, container: str) -> dict[str, Any]:
        """Give what the engine tells of a container."""
        [told] = json.loads(self.docker("inspect", container))
        return dict(told)

    def seat_containers(self) -> list[str]:
        """The names of the containers that the hub has started."""
        shown = self.docker("ps", "--all", "--filter", f"name=^{self.name}-seat", "--format", "{{.Names}}")
        return shown.split()

    def on_users_network(self) -> set[str]:
        """The names of the containers that are attached to the seats' network."""
        one_a_line = "{{range .Containers}}{{println .Name}}{{end}}"
        return set(self.docker("network", "inspect", self.name, "--format", one_a_line).split())


@contextmanager
def deployment(folder: Path) -> Iterator[Deployment]:
    """Build the images, start everything, wait until all is well, and remove it all in the end.

    How long that took with every image in the cache is told in a file that CI prints.
    """
    [port] = free_ports(1)
    name = f"inset-test-{secrets.token_hex(4)}"
    settings = {
        **images.settings(),
        "INSET_PORT": str(port),
        "INSET_URL_PORT": f":{port}",
        "INSET_SEATS": "2",
        # What an operator lists is reached by restricted servers, beside hub and service.
        "INSET_RESTRICTED_REACH": "demo",
    }
    profiles = folder / "profiles.toml"
    profiles.write_text(PROFILES)
    settings["INSET_PROFILES"] = str(profiles)
    # Instead of a developer's own, who may have set the same there.
    dotenv = folder / "dot.env"
    dotenv.write_text(f"INSET_USERS_NETWORK={name}\nINSET_METRICS_TOKEN={METRICS_TOKEN}\n")
    with small_disk(folder) as disk:
        files = (ROOT / "compose.yaml", _on_disk(disk, folder))
        composed = Composed(settings, ("--env-file", str(dotenv), "-p", name), files, say=lambda _: None)
        running = Deployment(name, port, f"inset-singleuser:{images.TAG}", composed, Edge(port, folder), disk)
        yield from _started(running, folder)


def _on_disk(disk: Path, folder: Path) -> Path:
    """Write what the Compose file is told beside what it says: where the database's volume is."""
    override = folder / "disk.json"
    where = {"type": "none", "o": "bind", "device": str(disk)}
    override.write_text(json.dumps({"version": "2.4", "volumes": {"database": {"driver_opts": where}}}))
    return override


def _started(running: Deployment, folder: Path) -> Iterator[Deployment]:
    composed = running.composed
    try:
        composed.build()
        began = time.monotonic()
        composed.build()
        composed.start()
        well = time.monotonic()
        for file, kept in (("ca.pem", "ca.pem"), ("fullchain.pem", "chain.pem")):
            (folder / kept).write_text(running.inside("edge", "cat", f"/secrets/edge/{file}"))
        TIMES.parent.mkdir(exist_ok=True)
        TIMES.write_text(f"Containers: all well after {well - began:.0f} s with every image in the cache\n")
        yield running
    finally:
        _remove_seats(running)
        composed.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")
        composed.remove_own_networks(running.name)


def _remove_seats(running: Deployment) -> None:
    # The hub's own wish to remove one may be under way, and the engine takes no second one.
    running.composed.compose("kill", "hub")
    give_up = time.monotonic() + 60
    while seats := running.seat_containers():
        try:
            running.docker("rm", "--force", "--volumes", *seats)
        except Failed:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)
