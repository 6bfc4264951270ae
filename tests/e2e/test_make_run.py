"""`make run` as a person at a terminal sees it: one URL, Ctrl-C, one clear line when something is wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.hosts import TestHost
from tests.support.real_hub import ROOT, free_ports

pytestmark = pytest.mark.timeout(500)

NAMES = ("demo", "service", "hub", "hub_api", "proxy_api", "assets")


class Run:
    """One `make run` after its installation, on ports and in a folder of its own."""

    def __init__(self, folder: Path, ports: list[int], *, in_background: bool = False) -> None:
        self.folder = folder
        self.ports = dict(zip(NAMES, ports, strict=True))
        ports_set = {f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-u", "dev/stack.py"],
            cwd=ROOT,
            # As a shell does for a job that it starts with `&`, and as a terminal does, whatever started these tests.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN if in_background else signal.SIG_DFL),
            env={**os.environ, **ports_set, "INSET_RUN": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until_up(self) -> str:
        """Read what it prints until its URL is there."""
        assert self.process.stdout
        printed = ""
        for line in self.process.stdout:
            printed += line
            if "Ctrl-C" in line:
                return printed
        raise AssertionError(printed)

    def ended(self) -> tuple[int, str]:
        """Wait for its end; gives its exit code and what it printed last."""
        rest, _ = self.process.communicate(timeout=180)
        return self.process.returncode, rest

    def children(self) -> dict[str, psutil.Process]:
        """Give its parts, by a word of their command lines."""
        parts = psutil.Process(self.process.pid).children()
        return {word: part for part in parts for word in ("jupyterhub", "inset", "demo") if word in part.cmdline()}


@contextmanager
def run(folder: Path, ports: list[int], *, in_background: bool = False) -> Iterator[Run]:
    started = Run(folder, ports, in_background=in_background)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.terminate()
            started.ended()


def test_ctrl_c_ends_everything_and_a_second_run_has_the_data(tmp_path: Path) -> None:
    ports = free_ports(len(NAMES))
    with run(tmp_path, ports) as first:
        printed = first.until_up()
        assert f"http://localhost:{ports[0]}" in printed
        assert printed.index("JupyterHub") < printed.index("service") < printed.index("demo")
        parts = [*first.children().values()]
        parts += [below for part in parts for below in part.children(recursive=True)]
        assert len(parts) >= 4, "hub, proxy, service and demo"
        headers = _host(tmp_path, ports).bearer("ada")
        service = f"http://127.0.0.1:{ports[1]}/v1/notebooks"
        made = httpx.post(service, json={"name": "Kept"}, headers=headers, timeout=60)

        first.process.send_signal(signal.SIGINT)

        code, rest = first.ended()
        assert code == 0
        assert "Traceback" not in rest
        assert not [part for part in parts if _alive(part)]

    with run(tmp_path, ports) as second:
        second.until_up()
        headers = _host(tmp_path, ports).bearer("ada")
        kept = httpx.get(f"{service}/{made.json()['id']}", headers=headers, timeout=60)
        assert kept.json()["name"] == "Kept"


def test_sigterm_ends_a_stack_in_the_background_too(tmp_path: Path) -> None:
    with run(tmp_path, free_ports(len(NAMES)), in_background=True) as started:
        started.until_up()
        everything = psutil.Process(started.process.pid).children(recursive=True)

        started.process.terminate()

        assert started.ended()[0] == 0
        assert not [part for part in everything if _alive(part)]


def test_who_asks_twice_for_the_end_leaves_nothing_behind_either(tmp_path: Path) -> None:
    with run(tmp_path, free_ports(len(NAMES))) as started:
        started.until_up()
        everything = psutil.Process(started.process.pid).children(recursive=True)

        for signum in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            started.process.send_signal(signum)
            time.sleep(0.2)

        assert started.ended()[0] == 0
        assert not [part for part in everything if _alive(part)]


def test_a_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    ports = free_ports(len(NAMES))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[2]))
        taken.listen()
        with run(tmp_path, ports) as refused:
            code, printed = refused.ended()

    assert code == 1
    assert printed.strip() == (
        f"Port {ports[2]} (hub) is taken. End what listens there, or choose another: HUB_PORT=… make run"
    )


@pytest.mark.parametrize("part", ["inset", "jupyterhub"])
def test_a_part_that_dies_is_told_and_ends_the_rest(tmp_path: Path, part: str) -> None:
    with run(tmp_path, free_ports(len(NAMES))) as started:
        started.until_up()
        parts = started.children()
        everything = psutil.Process(started.process.pid).children(recursive=True)

        parts[part].kill()

        code, printed = started.ended()
        assert code == 1
        assert "has ended (exit -9)" in printed
        assert "Its log: " in printed
        assert "Traceback" not in printed
        deadline = time.monotonic() + 10
        while [other for other in everything if other.is_running()] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not [other for other in everything if other.is_running()]


def _alive(process: psutil.Process) -> bool:
    """Tell whether a process lives; it may be gone between one look and the next."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _host(folder: Path, ports: list[int]) -> TestHost:
    secret = json.loads((folder / "secrets.json").read_text())["demo_key"]
    return TestHost(signing_key=secret, audience=f"http://localhost:{ports[1]}")
