"""Makes sure that a Docker engine runs, for the tests that build and run the images.

    python3 dev/docker_engine.py

On Debian, as root, it installs the engine from Debian's packages and starts it; elsewhere it takes the one that runs.
Uses nothing but Python itself: it runs before anything is installed. An engine that it started keeps running.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import debian

PACKAGES = {
    "/usr/bin/docker": "docker.io",
    "/usr/bin/docker-compose": "docker-compose",
    "/usr/bin/mmdebstrap": "mmdebstrap",
    "/usr/sbin/iptables": "iptables",
    "/usr/sbin/ip": "iproute2",
}
"""What the tests need, by the file that shows it is there."""

CGROUPS = Path("/sys/fs/cgroup")
LOG = Path(__file__).resolve().parents[1] / ".run" / "dockerd.log"

_START_SECONDS = 60


class Failed(Exception):
    """What could not be done, in one line."""


def main() -> None:
    """Install what is missing, start the engine if none runs, and return when it answers."""
    LOG.parent.mkdir(exist_ok=True)
    on_debian = debian.can_install()
    missing = sorted(package for file, package in PACKAGES.items() if not Path(file).exists())
    if on_debian and missing:
        _say(f"installing {', '.join(missing)}")
        # Services are not started by the packages' scripts where there is no systemd; `_start` does it.
        debian.install(missing, _call, services=True)
    if not docker():
        raise Failed("The image tests need Docker. Install it and start it, or run this as root on Debian.")
    if not answers():
        if not on_debian:
            raise Failed("The image tests need a running Docker engine, and `docker info` finds none that it may use.")
        _say("starting the engine")
        _mount_cgroups()
        _start()
    if not compose():
        raise Failed("The image tests need Compose: install docker-compose, or Docker's compose plugin.")


def docker() -> str | None:
    """Give the command to use. Debian's comes first: it alone can use that engine's BuildKit with no plugin."""
    return shutil.which("docker", path=search_path())


def search_path() -> str:
    """Give a `PATH` on which Debian's packages come before what else is on the machine."""
    return os.pathsep.join(["/usr/bin", os.environ.get("PATH", os.defpath)])


def compose() -> list[str] | None:
    """Give the words that run Compose: Debian's 1.29, or else the plugin."""
    if alone := shutil.which("docker-compose", path=search_path()):
        return [alone]
    command = docker()
    return [command, "compose"] if command and _succeeds([command, "compose", "version"]) else None


def answers() -> bool:
    """Tell whether an engine answers."""
    command = docker()
    # The format asks the engine itself: without it some versions exit 0 having found none.
    return bool(command) and _succeeds([str(command), "info", "--format", "{{.ServerVersion}}"])


def _mount_cgroups() -> None:
    """Do what systemd or an init script would have done at boot: the second version if this kernel has it, bare."""
    if any(line.split()[1].startswith(str(CGROUPS)) for line in Path("/proc/mounts").read_text().splitlines()):
        return
    CGROUPS.mkdir(parents=True, exist_ok=True)
    _call(["mount", "-t", "cgroup2", "none", str(CGROUPS)])


def _start() -> None:
    with LOG.open("ab") as log:
        # A session of its own: Ctrl-C in the tests must not end it.
        engine = subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + _START_SECONDS
    while not answers():
        if engine.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"The Docker engine does not start: {_last_word()}")
        time.sleep(0.2)


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _call(command: list[str]) -> None:
    with LOG.open("ab") as log:
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=600, check=True)
        except (OSError, subprocess.SubprocessError) as exc:
            raise Failed(f"`{' '.join(command[:2])}` failed: {_last_word()}") from exc


def _last_word() -> str:
    lines = LOG.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1]} (the rest is in {LOG})" if lines else "it said nothing"


def _say(what: str) -> None:
    print(f"  Docker: {what} …", flush=True)


if __name__ == "__main__":
    try:
        main()
    except Failed as exc:
        print(exc, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
