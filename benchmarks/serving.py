"""What is measured: Inset's service on a SQLite database of its own, and jupyter_server, each a process."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.support.hosts import TestHost, write_hosts_file
from tests.support.real_hub import free_ports

Call = Callable[..., bytes]

_KEPT = 3
"""Seconds for which nobody closes a connection that is idle."""
_LOOK_SECONDS = 0.01
"""How long a server that starts is left alone between two looks whether it listens."""
_START_LOOKS = 6000


@dataclass(frozen=True)
class Server:
    """A process that answers HTTP."""

    port: int
    pid: int
    headers: dict[str, str]
    _connections: list[http.client.HTTPConnection] = field(default_factory=list, init=False)

    def caller(self) -> Call:
        """Keep one connection open, and give what calls over it: method, path, body, more headers."""
        exchange = self._exchanger()

        def call(*request: Any) -> bytes:
            answer, content = exchange(*request)
            assert answer.status < 300, content[:500]
            return content

        return call

    def counter(self) -> Callable[..., int]:
        """Keep one connection open, and give what tells how many calls of functions an answer took (`counted.py`)."""
        exchange = self._exchanger()
        return lambda *request: int(exchange(*request)[0].headers["X-Calls"])

    def processor_time(self) -> float:
        """Tell the seconds that its process has taken of the processor, its threads included, as Linux counts them."""
        # Another process's clock, by the number that Linux has for it (`man clock_getcpuclockid`).
        return time.clock_gettime((~self.pid << 3) | 2)

    def close(self) -> None:
        """Close what was kept open."""
        for connection in self._connections:
            connection.close()

    def _exchanger(self) -> Callable[..., tuple[http.client.HTTPResponse, bytes]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        self._connections.append(connection)

        used = time.monotonic()

        def exchange(
            method: str, path: str, body: bytes | None = None, more: dict[str, str] | None = None
        ) -> tuple[http.client.HTTPResponse, bytes]:
            nonlocal used
            if time.monotonic() - used > _KEPT:
                connection.close()  # and begun anew: the server may be about to do so
            used = time.monotonic()
            connection.request(method, path, body, {**self.headers, **(more or {})})
            answer = connection.getresponse()
            return answer, answer.read()

        return exchange


class Inset:
    """A database of Inset's, and the service on it."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] = MappingProxyType({}),
        *,
        url: str = "",
        host: TestHost | None = None,
    ) -> None:
        """Fill a database, on SQLite unless it has a URL, with one host application and nothing else.

        The environment may lead to another release.
        """
        folder.mkdir()
        [port] = free_ports(1)
        host = host or TestHost()
        self.database = folder / "inset.db"
        self.url = url or f"sqlite:///{self.database}"
        self.signing_key = folder / "signing.pem"
        self.headers = host.bearer(exp=int(time.time()) + 3500)
        self._port = port
        self.environment = {
            **os.environ,
            **environment,
            "INSET_PUBLIC_URL": host.audience,
            "INSET_DATABASE_URL": self.url,
            "INSET_SIGNING_KEY_FILE": str(self.signing_key),
            "INSET_LISTEN_PORT": str(port),
            "INSET_HUB__TOKEN": "no-hub-is-asked",
            "INSET_CHECK_INTERVAL": "3600",
            "INSET_TOKEN_MAX_LIFETIME": "3600",
        }
        self.inset("keygen", str(self.signing_key))
        self.inset("db", "upgrade")
        self.inset("hosts", "apply", str(write_hosts_file(folder / "hosts.toml", host)))

    @contextlib.contextmanager
    def serving(self, *command: str) -> Iterator[Server]:
        """Run the service, as it is or by another module."""
        arguments = command or ("inset", "serve")
        with (
            _process([sys.executable, "-m", *arguments], self._port, self.environment) as pid,
            contextlib.closing(Server(self._port, pid, self.headers)) as server,
        ):
            yield server

    def inset(self, *arguments: str) -> None:
        """Run `inset …`."""
        command = [sys.executable, "-m", "inset", *arguments]
        subprocess.run(command, env=self.environment, check=True, capture_output=True)


@contextlib.contextmanager
def jupyter_server(folder: Path) -> Iterator[Server]:
    """Run jupyter_server on an empty folder."""
    [port] = free_ports(1)
    folder.mkdir()
    options = {"ip": "127.0.0.1", "port": port, "root_dir": folder, "open_browser": False, "allow_root": True}
    options |= {"disable_check_xsrf": True, "max_body_size": 2**30, "max_buffer_size": 2**30}
    arguments = [f"--ServerApp.{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "jupyter_server", "--IdentityProvider.token=", *arguments]
    with (
        _process(command, port, dict(os.environ)) as pid,
        contextlib.closing(Server(port, pid, {"Content-Type": "application/json"})) as server,
    ):
        yield server


def plain_app(name: str) -> contextlib.AbstractContextManager[Server]:
    """Run one of `plain_apps` as the service is run."""
    return _app(f"plain_apps:{name}", {}, {})


def by_hand(folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Run the store of `by_hand` on an empty folder."""
    folder.mkdir()
    headers = TestHost().bearer(exp=int(time.time()) + 3500)
    return _app("by_hand:app", {"BY_HAND_DATABASE": str(folder / "by_hand.db")}, headers)


@contextlib.contextmanager
def _app(name: str, environment: Mapping[str, str], headers: dict[str, str]) -> Iterator[Server]:
    [port] = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", f"benchmarks.{name}", "--port", str(port), "--no-access-log"]
    with (
        _process(command, port, {**os.environ, **environment}) as pid,
        contextlib.closing(Server(port, pid, headers)) as server,
    ):
        yield server


@contextlib.contextmanager
def _process(command: list[str], port: int, environment: dict[str, str]) -> Iterator[int]:
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        for _ in range(_START_LOOKS):
            assert process.poll() is None, f"{command[2]} has ended"
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(_LOOK_SECONDS)
        yield process.pid
    finally:
        process.terminate()
        process.wait()
