"""What stands in for something, and the real thing, in turn.

The hub: our fake at the wire, and a real JupyterHub as a subprocess, both asked through our own client. Inset itself:
the kits for hosts' tests, and the real service, all asked through the Python client.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from inset.calls import CallKeys
from inset.hub import HubClient
from inset.hubs import Hubs
from inset.servers import ServerDialler
from inset.settings import DEFAULT_HUB, HubSettings
from tests.fakes.fake_hub import SERVICE_TOKEN, FakeHub
from tests.support.insets import (
    access,
    backend,
    inset,
    javascript_access,
    kind,
    name,
    python_access,
    service,
    service_access,
    user,
)
from tests.support.key_pairs import KeyPair
from tests.support.real_hub import HUB_CONFIG, RealHub, real_hub
from tests.support.serving import served

__all__ = [
    "access",
    "backend",
    "inset",
    "javascript_access",
    "kind",
    "name",
    "python_access",
    "service",
    "service_access",
    "user",
]


@dataclass(frozen=True)
class Hub:
    """A hub, our client of it, and what a test can do to its servers."""

    client: HubClient
    servers: ServerDialler
    api_url: str
    token: str
    kill_server: Callable[[], None]
    """Have seat-001's server die."""


@pytest.fixture(params=["fake", "real", "real without bridge"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hub]:
    command = {"INSET_SINGLEUSER_CMD": "jupyterhub-singleuser"} if "without" in request.param else {}
    async with _fake(FakeHub(bridged=False)) if request.param == "fake" else _real(tmp_path, command) as hub:
        yield hub


@pytest.fixture(params=["fake", "real"])
async def failing_hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hub]:
    """A hub whose servers end before they answer."""
    fake = FakeHub()
    fake.spawns_fail_later = True
    async with _fake(fake) if request.param == "fake" else _real(tmp_path, {"INSET_SINGLEUSER_CMD": "false"}) as hub:
        yield hub


@dataclass(frozen=True)
class FullHub:
    """A hub that starts one server at a time, and two altogether."""

    hub: Hub
    finish_spawning: Callable[[], None]
    """Let seat-001's server come up, and those after it."""


@pytest.fixture(params=["fake", "real"])
async def full_hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FullHub]:
    if request.param == "fake":
        fake = FakeHub()
        fake.concurrent_spawn_limit, fake.active_server_limit, fake.spawns_hold = 1, 2, True
        async with _fake(fake) as hub:
            yield FullHub(hub, fake.finish_spawning)
        return
    config, may_spawn = tmp_path / "full.py", tmp_path / "may-spawn"
    config.write_text(_FULL.format(config=str(HUB_CONFIG), may_spawn=str(may_spawn)))
    async with _real(tmp_path, {}, config) as hub:
        yield FullHub(hub, may_spawn.touch)


_FULL = """\
import asyncio
from pathlib import Path

load_subconfig({config!r})
c.JupyterHub.concurrent_spawn_limit, c.JupyterHub.active_server_limit = 1, 2


async def hold(_):
    while not Path({may_spawn!r}).exists():
        await asyncio.sleep(0.05)


c.Spawner.pre_spawn_hook = hold
"""


@pytest.fixture(params=["fake", "real"])
async def insecure_hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hub]:
    """A hub whose servers are plain processes, which reach every network."""
    fake = FakeHub()
    fake.keeps_data_inside = False
    async with _fake(fake) if request.param == "fake" else _real(tmp_path, {}) as hub:
        yield hub


@asynccontextmanager
async def _fake(fake: FakeHub) -> AsyncIterator[Hub]:
    async with served(fake.app) as url, httpx.AsyncClient(timeout=20) as http:
        yield _hub(http, f"{url}/hub/api", url, SERVICE_TOKEN, fake.kill_server)


@asynccontextmanager
async def _real(folder: Path, environment: dict[str, str], config: Path = HUB_CONFIG) -> AsyncIterator[Hub]:
    async with real_hub(folder, environment, config=config) as real, httpx.AsyncClient(timeout=20) as http:
        yield _hub(http, real.api_url, real.bind_url, real.token, lambda: _kill_server(real))


def _hub(http: httpx.AsyncClient, api_url: str, proxy_url: str, token: str, kill_server: Callable[[], None]) -> Hub:
    hubs = Hubs({DEFAULT_HUB: HubSettings(token=token, api_url=api_url, proxy_url=proxy_url)}, http)
    [only] = hubs
    # No bridge here can know a signature: none of them has a service to get its key from.
    keys = CallKeys(KeyPair.new("the service's").private_pem.encode())
    return Hub(only.client, ServerDialler(http, hubs, keys), api_url, token, kill_server)


def _kill_server(real: RealHub) -> None:
    seat = str(real.data / "seats" / "seat-001")
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if str(process.info["cwd"]).startswith(seat):
            process.kill()
