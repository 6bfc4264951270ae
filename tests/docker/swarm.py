"""A Swarm of one machine: an engine of its own, in a network of its own, with `deploy/swarm/` on it.

    with swarm(images, folder) as running:
        running.docker("service", "ls")

The machine's own engine is not asked to be a manager, and no rule of its network is touched. All of it is gone when the
block is left. It takes root.
"""

import os
import secrets
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker_engine

from tests.support.real_hub import ROOT

PORT = 8443
NETWORK = "inset-users"
STACK = ROOT / "deploy" / "swarm"

_GIGABYTES = 10
"""More than it takes; none of it is written before it is used."""
_START_SECONDS = 120
_WELL_SECONDS = 300


@dataclass(frozen=True)
class Swarm:
    """What `docker stack deploy` made, on an engine of its own."""

    socket: Path
    address: str
    """The machine's, where its edge listens."""
    authority: Path
    """What its certificate is to be trusted by."""
    tag: str

    def trust(self) -> ssl.SSLContext:
        """Trust its own CA, and no other."""
        return ssl.create_default_context(cafile=str(self.authority))

    def docker(self, *arguments: str, stdin: str = "") -> str:
        """Run a command of Docker's on this engine."""
        return self._run([_tool(), *arguments], stdin)

    def inside(self, part: str, *command: str, stdin: str = "") -> str:
        """Run a command in a part's container."""
        return self.docker("exec", "--interactive", self.container(f"inset_{part}"), *command, stdin=stdin)

    def container(self, service: str) -> str:
        """Give the id of the one running container of a Swarm's service."""
        shown = self.docker("ps", "--quiet", "--no-trunc", "--filter", f"label=com.docker.swarm.service.name={service}")
        [container] = shown.split()
        return container

    def seats(self) -> list[str]:
        """The names of the services that the hub has made."""
        return self.docker("service", "ls", "--filter", f"name={NETWORK}-seat-", "--format", "{{.Name}}").split()

    def deploy(self, seats: int) -> None:
        """Do what docs/swarm.md says, on the one machine there is, and wait until everything runs."""
        [node] = self.docker("node", "ls", "--quiet").split()
        self.docker("node", "update", "--label-add", "inset.data=true", "--label-add", "inset.edge=true", node)
        told = self._run(["sh", str(STACK / "secrets.sh")])
        self.authority.write_text(told[told.index("-----BEGIN") :])
        restricted = self.authority.parent / "restricted.yaml"
        restricted.write_text(self._run(["sh", str(STACK / "restricted.sh"), str(seats)]))
        files = [word for file in (STACK / "stack.yaml", restricted) for word in ("--compose-file", str(file))]
        # There is no registry that knows these images.
        self.docker("stack", "deploy", "--resolve-image", "never", *files, "inset")
        self.until_well()

    def until_well(self) -> None:
        """Return when each part has as many healthy containers as it is to have, and the service can do its work."""
        asked = {"service": "http://127.0.0.1:8091/readyz", "hub": "http://127.0.0.1:8081/hub/health"}
        deadline = time.monotonic() + _WELL_SECONDS
        while time.monotonic() < deadline:
            shown = self.docker("stack", "services", "inset", "--format", "{{.Replicas}}").split()
            if shown == ["1/1"] * 5:
                try:
                    for part, url in asked.items():
                        self.inside(part, "python", "-c", f"import urllib.request as r; r.urlopen('{url}', timeout=9)")
                    return
                except (AssertionError, ValueError):
                    pass  # not yet, or its container has gone meanwhile
            time.sleep(0.5)
        told = self.docker("stack", "ps", "inset", "--no-trunc", "--format", "{{.Name}} {{.CurrentState}} {{.Error}}")
        raise AssertionError(f"not well after {_WELL_SECONDS} s:\n{told}\n{self.logs()}")

    def logs(self) -> str:
        """Give the last lines of each part."""
        parts = self.docker("stack", "services", "inset", "--format", "{{.Name}}").split()
        return "\n".join(self.docker("service", "logs", "--tail", "40", part) for part in parts)

    def _run(self, command: list[str], stdin: str = "") -> str:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("INSET_", "DOCKER_"))},
            "PATH": docker_engine.search_path(),
            "DOCKER_HOST": f"unix://{self.socket}",
            "INSET_DOCKER_SOCKET": str(self.socket),
            "INSET_DOMAIN": "localhost",
            "INSET_PORT": str(PORT),
            "INSET_URL_PORT": f":{PORT}",
            "INSET_TAG": self.tag,
            "INSET_SEATS": "2",
            "INSET_REPLICAS": "1",
            "INSET_SHUTDOWN_DELAY": "0",
            "INSET_PROFILES": str(self.authority.parent / "profiles.toml"),
        }
        done = subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout


@contextmanager
def swarm(images: Sequence[str], tag: str, folder: Path) -> Iterator[Swarm]:
    """Start an engine, hand it what the machine's own engine has built, deploy, and end it all."""
    # Its socket's path has to be a short one.
    state = Path(tempfile.mkdtemp(prefix="inset-swarm-", dir="/tmp"))
    engine = _started(state)
    try:
        running = Swarm(state / "docker.sock", _linked(engine.pid), folder / "ca.pem", tag)
        _until_answering(running, engine, state)
        _hand_over([f"inset-{image}:{tag}" for image in images], running)
        running.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
        try:
            running.deploy(seats=2)
            yield running
        finally:
            running.docker("swarm", "leave", "--force")
    finally:
        engine.terminate()
        try:
            engine.wait(60)
        finally:
            engine.kill()
            shutil.rmtree(state, ignore_errors=True)


def _started(state: Path) -> "subprocess.Popen[bytes]":
    # On a file system of its own, which goes as one file instead of as many thousands.
    image, root = state / "disk.img", state / "data"
    root.mkdir()
    with image.open("wb") as file:
        file.truncate(_GIGABYTES << 30)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image)], check=True)
    begin = f'mount -o loop,noatime,barrier=0 {image} {root} && ip link set lo up && exec "$@"'
    engine = ["dockerd", "--data-root", f"{state}/data", "--exec-root", f"{state}/exec", "--pidfile", f"{state}/pid"]
    engine += ["--host", f"unix://{state}/docker.sock", "--cgroup-parent", f"/{state.name}", "--log-level", "warn"]
    # A machine asks a registry before it takes the image that it has, unless it is told not to.
    environment = {**os.environ, "DOCKER_SERVICE_PREFER_OFFLINE_IMAGE": "1"}
    with (state / "log").open("wb") as log:
        return subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", begin, "sh", *engine],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _linked(pid: int) -> str:
    """Connect this machine with the engine's network; gives the engine's address.

    Both ends are gone when that network is. Addresses are of the range that is kept for such tests (RFC 2544).
    """
    ours = f"insw{secrets.token_hex(4)}"
    block = secrets.randbelow(1 << 15) * 4
    network = f"198.{18 + (block >> 16)}.{block >> 8 & 255}"
    here, there = (f"{network}.{(block & 255) + number}" for number in (1, 2))
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip"]
    deadline = time.monotonic() + _START_SECONDS
    while os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        assert time.monotonic() < deadline, "the engine has no network of its own"
        time.sleep(0.02)
    for command in (
        ["ip", "link", "add", ours, "type", "veth", "peer", "name", "outside", "netns", str(pid)],
        ["ip", "address", "add", f"{here}/30", "dev", ours],
        ["ip", "link", "set", ours, "up"],
        [*inside, "address", "add", f"{there}/30", "dev", "outside"],
        [*inside, "link", "set", "outside", "up"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return there


def _until_answering(running: Swarm, engine: "subprocess.Popen[bytes]", state: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while engine.poll() is None and time.monotonic() < deadline:
        try:
            running.docker("info", "--format", "{{.ServerVersion}}")
            return
        except AssertionError:
            time.sleep(0.1)
    raise AssertionError(f"the engine does not answer\n{(state / 'log').read_text()[-3000:]}")


def _hand_over(images: Sequence[str], running: Swarm) -> None:
    with subprocess.Popen([_tool(), "save", *images], stdout=subprocess.PIPE) as saved:
        load = [_tool(), "--host", f"unix://{running.socket}", "load"]
        done = subprocess.run(load, stdin=saved.stdout, capture_output=True, text=True, check=False)
    assert done.returncode == saved.returncode == 0, done.stderr


def _tool() -> str:
    tool = docker_engine.docker()
    assert tool, "run `python3 dev/docker_engine.py` first"
    return tool
