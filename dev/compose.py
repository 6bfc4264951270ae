"""Inset in containers: builds what `compose.yaml` names, starts it, and returns when all of it is well.

    python3 dev/compose.py up|down

Uses nothing but Python itself. What can be set stands in `docs/deploying.md`.
"""

import os
import re
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import docker_engine

ROOT = Path(__file__).resolve().parents[1]
AUTHORITY = ROOT / ".run" / "inset-ca.pem"

_WELL_SECONDS = 300

# What is needed here of what the environment and `.env` set. Compose itself says it, who knows how to read that.
_NEEDED = ("INSET_DOCKER_SOCKET", "INSET_ENGINE_USER", "INSET_USERS_NETWORK")
_LABELS = "\n".join(f'      {name}: "${{{name}-}}"' for name in _NEEDED)
_ASKING = f'version: "2.4"\nservices:\n  asked:\n    image: none\n    labels:\n{_LABELS}\n'


class Failed(Exception):
    """What could not be done, in one line, and what was said about it."""


@dataclass(frozen=True)
class Composed:
    """The Compose files under one environment."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What it sets, beside this process's own."""
    options: tuple[str, ...] = ()
    """Compose's own, such as `-p NAME`."""
    files: tuple[Path, ...] = ()
    """Its files. None: what Compose takes by itself, an override file or what `COMPOSE_FILE` names among it."""
    say: Callable[[str], None] = print

    def build(self, *parts: str) -> None:
        """Build these parts' images, or all, beside each other; what has not changed comes from the engine's cache."""
        self.say("  building the images …")
        self.compose("build", "--parallel", *parts)

    def start(self) -> None:
        """Start all, and return when all that run are healthy. Raises `Failed`."""
        self.say("  starting …")
        self.compose("up", "--detach", "--no-build", "--remove-orphans")
        self.until_well()

    def until_well(self) -> None:
        """Return when all containers that have something to say about their health are healthy. Raises `Failed`."""
        shown = "{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{if .State.Health}}{{.State.Health.Status}}{{end}}"
        deadline = time.monotonic() + _WELL_SECONDS
        # Asked once: Compose 1.29 takes half a second of the processor for it.
        containers = self.compose("ps", "--all", "--quiet").split()
        while True:
            told = [line.split() for line in self.docker("inspect", "--format", shown, *containers).splitlines()]
            # What has run to its end, and well, is no concern.
            waited_for = [one for one in told if one[1:] != ["exited", "0"] and one[3:] != ["healthy"]]
            if not waited_for:
                return
            if time.monotonic() > deadline:
                names = ", ".join(" ".join(one) for one in waited_for)
                raise Failed(f"Not well after {_WELL_SECONDS} s: {names}\n{self.logs()}")
            time.sleep(0.3)

    def logs(self) -> str:
        """Give the last lines of each part."""
        return self.compose("logs", "--no-color", "--tail=40")

    def remove_own_networks(self, prefix: str) -> None:
        """Remove what restricted seats had for themselves, where no hub was left to do it."""
        if left := self.docker("network", "ls", "--quiet", "--filter", f"name=^{prefix}-seat-").split():
            self.docker("network", "rm", *left)

    def inside(self, part: str, *command: str, stdin: str = "") -> str:
        """Run a command in a part's container."""
        return self.compose("exec", "-T", part, *command, stdin=stdin)

    @property
    def users_network(self) -> str:
        """The name of the seats' network, with which their containers' names begin."""
        return self._set.get("INSET_USERS_NETWORK", "inset-users")

    def compose(self, *arguments: str, stdin: str = "") -> str:
        """Run Compose. Raises `Failed`."""
        files = [word for file in self.files for word in ("-f", str(file))]
        return self._run([*_compose(), *self.options, *files, *arguments], stdin, INSET_ENGINE_USER=self._engine_user)

    def docker(self, *arguments: str, stdin: str = "") -> str:
        """Run Docker's own command. Raises `Failed`."""
        return self._run([docker_engine.docker() or "docker", *arguments], stdin)

    @cached_property
    def _set(self) -> dict[str, str]:
        told = self._run([*_compose(), *self.options, "-f", "-", "config"], _ASKING)
        found = re.findall(r"""^ *(INSET_\w+): (['"]?)(.*)\2$""", told, re.MULTILINE)
        return {name: value for name, _, value in found if value}

    @cached_property
    def _engine_user(self) -> str:
        """The account that stands before the engine: nobody, in the group that the engine's socket is open to."""
        if given := self._set.get("INSET_ENGINE_USER"):
            return given
        try:
            socket = Path(self._set.get("INSET_DOCKER_SOCKET", "/var/run/docker.sock")).stat()
        except OSError:
            return "0:0"
        open_to_group = stat.S_ISSOCK(socket.st_mode) and socket.st_mode & 0o060 == 0o060
        return f"65534:{socket.st_gid}" if open_to_group else "0:0"

    def _run(self, command: list[str], stdin: str = "", **also: str) -> str:
        environment = {**os.environ, **_builder(), **also, **self.environment}
        # Compose 1.29 is written in Python, too, and would find this very file first.
        environment.pop("PYTHONPATH", None)
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, input=stdin, capture_output=True, text=True, check=False
            )
        except OSError as exc:
            raise Failed(f"{command[0]} does not run: {exc}") from exc
        if done.returncode:
            said = f"{done.stdout[-6000:]}{done.stderr[-6000:]}".rstrip()
            raise Failed(f"`{shlex.join([Path(command[0]).name, *command[-3:]])}` failed:\n{said}")
        return done.stdout


def _compose() -> list[str]:
    words = docker_engine.compose()
    if not words:
        raise Failed("There is no Compose: install docker-compose, or Docker's compose plugin.")
    return words


@cache
def _builder() -> dict[str, str]:
    """Compose 1.29 builds by the docker command on the path, and Debian's needs to be told to use BuildKit."""
    tool = docker_engine.docker()
    if not tool:
        raise Failed("There is no Docker: install it, and start it.")
    version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    major = int(version.split("version ")[1].split(".")[0])
    # Newer ones use it by themselves where they have its plugin; told to, they fail where they have not.
    buildkit = {"DOCKER_BUILDKIT": "1", "COMPOSE_DOCKER_CLI_BUILD": "1"} if major < 23 else {}
    return {"PATH": docker_engine.search_path(), **buildkit}


def up(composed: Composed) -> None:
    """Build and start everything, and say where it is."""
    if not docker_engine.answers():
        raise Failed("There is no Docker engine that answers: start it (`docker info` says more).")
    composed.build()
    composed.start()
    AUTHORITY.parent.mkdir(exist_ok=True)
    AUTHORITY.write_text(composed.inside("edge", "cat", "/secrets/edge/ca.pem"))
    named = composed.inside("service", "sh", "-c", 'echo "$INSET_PUBLIC_URL"').strip()
    demo = composed.compose("ps", "--quiet", "demo").strip()
    print(
        f"\n  {named.replace('//inset.', '//fieldnotes.', 1)}   (ada or grace, password fieldnotes)" if demo else named
    )
    print(f"  The service: {named}")
    print(f"  Where no certificate was brought along, let your browser trust {AUTHORITY.relative_to(ROOT)}.")
    print("  `make down` stops it all; what was saved stays.")


def down(composed: Composed) -> None:
    """End the seats' containers, which save first, and then everything else; data and secrets stay."""
    network = composed.users_network
    seats = composed.docker("ps", "--quiet", "--filter", f"name=^{network}-seat-").split()
    if seats:
        composed.docker("stop", *seats)
    composed.compose("down", "--remove-orphans", "--timeout", "60")
    composed.remove_own_networks(network)


if __name__ == "__main__":
    try:
        {"up": up, "down": down}[sys.argv[1]](Composed())
    except Failed as exc:
        print(exc, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
