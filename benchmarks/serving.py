"""What is measured: Inset's service on a SQLite database of its own, and jupyter_server, each a process."""

import asyncio
import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from inset.cli import main as inset
from inset.db import open_database
from inset.hosts import apply_hosts
from inset.schema import upgrade
from tests.support.hosts import TestHost, write_hosts_file
from tests.support.real_hub import free_ports

Call = Callable[..., bytes]


@dataclass(frozen=True)
class Server:
    """A process that answers HTTP."""

    port: int
    pid: int
    headers: dict[str, str]

    def caller(self) -> Call:
        """Keep one connection open, and give what calls over it: method, path, body, more headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)

        def call(method: str, path: str, body: bytes | None = None, more: dict[str, str] | None = None) -> bytes:
            connection.request(method, path, body, {**self.headers, **(more or {})})
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status < 300, content[:500]
            return content

        return call


class Inset:
    """A database of Inset's, and the service on it."""

    def __init__(self, folder: Path) -> None:
        """Make the database, empty but for one host application."""
        folder.mkdir()
        [port] = free_ports(1)
        host = TestHost()
        self.database = folder / "inset.db"
        self.headers = host.bearer(exp=int(time.time()) + 3500)
        self._port = port
        self._environment = {
            **os.environ,
            "INSET_PUBLIC_URL": host.audience,
            "INSET_DATABASE_URL": f"sqlite:///{self.database}",
            "INSET_SIGNING_KEY_FILE": f"{folder}/signing.pem",
            "INSET_LISTEN_PORT": str(port),
            "INSET_HUB__TOKEN": "no-hub-is-asked",
            "INSET_CHECK_INTERVAL": "3600",
            "INSET_TOKEN_MAX_LIFETIME": "3600",
        }
        inset(["keygen", self._environment["INSET_SIGNING_KEY_FILE"]])
        upgrade(self._environment["INSET_DATABASE_URL"])
        asyncio.run(self._register(write_hosts_file(folder / "hosts.toml", host)))

    async def _register(self, file: Path) -> None:
        async with open_database(self._environment["INSET_DATABASE_URL"]) as database:
            await apply_hosts(database, file)

    @contextlib.contextmanager
    def serving(self) -> Iterator[Server]:
        """Run the service."""
        with _process([sys.executable, "-m", "inset", "serve"], self._port, self._environment) as pid:
            yield Server(self._port, pid, self.headers)

    def pack(self) -> None:
        """Run `inset db pack`."""
        command = [sys.executable, "-m", "inset", "db", "pack"]
        subprocess.run(command, env=self._environment, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def jupyter_server(folder: Path) -> Iterator[Server]:
    """Run jupyter_server on an empty folder."""
    [port] = free_ports(1)
    folder.mkdir()
    options = {"ip": "127.0.0.1", "port": port, "root_dir": folder, "open_browser": False, "allow_root": True}
    options |= {"disable_check_xsrf": True, "max_body_size": 2**30, "max_buffer_size": 2**30}
    arguments = [f"--ServerApp.{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "jupyter_server", "--IdentityProvider.token=", *arguments]
    with _process(command, port, dict(os.environ)) as pid:
        yield Server(port, pid, {"Content-Type": "application/json"})


@contextlib.contextmanager
def plain_app(name: str) -> Iterator[Server]:
    """Run one of `plain_apps` as the service is run."""
    [port] = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", f"benchmarks.plain_apps:{name}", "--port", str(port), "--no-access-log"]
    with _process(command, port, dict(os.environ)) as pid:
        yield Server(port, pid, {})


@contextlib.contextmanager
def _process(command: list[str], port: int, environment: dict[str, str]) -> Iterator[int]:
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert process.poll() is None, f"{command[2]} has ended"
            with contextlib.suppress(OSError):
                http.client.HTTPConnection("127.0.0.1", port).connect()
                break
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait()
