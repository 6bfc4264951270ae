"""What can happen to a running deployment: a process dies without a word, packets get nowhere, a disk is full."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docker.deployment import Deployment


def kill(running: Deployment, container: str) -> None:
    """Kill a container's first process, as the kernel does that is out of memory.

    Not by the engine, to which that would be an operator's wish: it would not start the container again.
    """
    os.kill(_pid(running, container), signal.SIGKILL)


def kill_hub_proxy(running: Deployment) -> None:
    """Kill the hub's proxy inside the hub's container."""
    listed = running.docker("top", running.container("hub"), "-o", "pid,args").splitlines()[1:]
    [pid] = [line.split()[0] for line in listed if "configurable-http-proxy" in line]
    os.kill(int(pid), signal.SIGKILL)


@contextmanager
def cut(running: Deployment, one: str, other: str) -> Iterator[None]:
    """Have all packets between two containers get nowhere: nobody is refused, nobody hears anything."""
    addresses = _addresses(running, other)
    rules = [("INPUT", "-s", address) for address in addresses] + [("OUTPUT", "-d", address) for address in addresses]
    with _dropping(_pid(running, one), rules):
        yield


@contextmanager
def cut_inside(running: Deployment, container: str, port: int) -> Iterator[None]:
    """Have all packets to and from a port get nowhere that a container's processes call each other by."""
    of_port = ("-i", "lo", "-p", "tcp")
    with _dropping(
        _pid(running, container),
        [("INPUT", *of_port, "--dport", str(port)), ("INPUT", *of_port, "--sport", str(port))],
    ):
        yield


@contextmanager
def full(folder: Path, *, but: int) -> Iterator[None]:
    """Fill the file system of a folder up to some bytes."""
    filler = folder / "filler"
    state = os.statvfs(folder)
    try:
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(state.f_bavail * state.f_frsize - but, 1))
        yield
    finally:
        filler.unlink()


def _pid(running: Deployment, container: str) -> int:
    return int(running.inspected(container)["State"]["Pid"])


def _addresses(running: Deployment, container: str) -> list[str]:
    networks = running.inspected(container)["NetworkSettings"]["Networks"]
    return [network["IPAddress"] for network in networks.values() if network["IPAddress"]]


@contextmanager
def _dropping(pid: int, rules: list[tuple[str, ...]]) -> Iterator[None]:
    # The network is held by its file: a container that is killed meanwhile takes its rules along.
    def change(verb: str, chain: str, *matching: str) -> None:
        inside = ("nsenter", f"--net=/proc/{pid}/ns/net", "iptables", "--wait", verb, chain, *matching, "-j", "DROP")
        subprocess.run(inside, check=True, capture_output=True)

    for rule in rules:
        change("--insert", *rule)
    try:
        yield
    finally:
        for rule in rules:
            change("--delete", *rule)
