"""What runs: a stock hub, a hub as Inset configures it, and Inset's service beside another of those."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from jupyter_core.paths import ENV_JUPYTER_PATH

from benchmarks.story.processes import python
from inset.cli import main as inset
from tests.support.hosts import TestHost, write_hosts_file
from tests.support.real_hub import ROOT, RealHub, free_ports, real_hub

HERE = Path(__file__).parent
_OF_INSET = ("inset-bridge", "nbdime-jupyterlab")
"""Page extensions that a stock server has not, and that this environment shares with it."""


@dataclass(frozen=True)
class Setting:
    """What the servers run in."""

    spawner: str
    """`local`, `docker` or `nothing`."""
    hub: Mapping[str, str]
    """What hubs are told of it."""
    service_host: str = "127.0.0.1"
    """By which servers reach the service."""


@dataclass(frozen=True)
class Inset:
    """The service with its hub, and a host application with its users."""

    hub: RealHub
    host: TestHost
    address: str
    """Where the service listens."""
    assets_url: str = field(default="", kw_only=True)
    """Where browsers find the notebook interface's files; empty if at its servers."""


@asynccontextmanager
async def stock_hub(folder: Path, setting: Setting) -> AsyncIterator[RealHub]:
    """Run a hub of the documentation's kind, whose servers have nothing of Inset's."""
    env = {
        **setting.hub,
        "BENCH_SPAWNER": setting.spawner,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "BENCH_STOCK_LAB": str(await asyncio.to_thread(_stock_interface, folder / "lab")),
    }
    async with real_hub(folder, env, config=HERE / "stock_jupyterhub_config.py") as hub:
        yield hub


@asynccontextmanager
async def tuned_hub(
    folder: Path, setting: Setting, *, service_port: int = 9, seats: int = 16, assets_url: str = ""
) -> AsyncIterator[RealHub]:
    """Run a hub as Inset configures it."""
    env = {
        **setting.hub,
        "INSET_SERVICE_URL": f"http://{setting.service_host}:{service_port}",
        "INSET_SEATS": str(seats),
        "INSET_ASSETS_URL": assets_url,
        "BENCH_HUB": folder.name,
        "PYTHONPATH": str(ROOT),
    }
    async with real_hub(folder, env, config=_config(setting)) as hub:
        yield hub


@asynccontextmanager
async def inset_with_its_hub(folder: Path, setting: Setting, origin: str, **more: str) -> AsyncIterator[Inset]:
    """Run the service and a hub; pages of `origin` may frame its notebooks. `more` is set for the service, too."""
    [port] = free_ports(1)
    async with _assets() as assets_url, tuned_hub(folder, setting, service_port=port, assets_url=assets_url) as hub:
        host = TestHost(origins=(origin,))
        environment = {
            **os.environ,
            "INSET_PUBLIC_URL": host.audience,
            "INSET_DATABASE_URL": f"sqlite:///{folder}/inset.db",
            "INSET_SIGNING_KEY_FILE": f"{folder}/signing.pem",
            "INSET_LISTEN_PORT": str(port),
            "INSET_LISTEN_HOST": setting.service_host,
            "INSET_HUB__TOKEN": hub.token,
            "INSET_HUB__API_URL": hub.api_url,
            "INSET_HUB__PROXY_URL": hub.bind_url,
            "INSET_TOKEN_MAX_LIFETIME": "3600",
            "INSET_ASSETS_URL": assets_url,
            **more,
        }
        await asyncio.to_thread(inset, ["keygen", environment["INSET_SIGNING_KEY_FILE"]])
        hosts = str(write_hosts_file(folder / "hosts.toml", host))
        for command in (["db", "upgrade"], ["hosts", "apply", hosts]):
            await _run(environment, *command)
        address = f"{setting.service_host}:{port}"
        with (folder / "service.log").open("wb") as log:
            async with python("-m", "inset", "serve", env=environment, stdout=log, stderr=log):
                await _until_it_answers(f"http://{address}/readyz")
                yield Inset(hub, host, address, assets_url=assets_url)


@asynccontextmanager
async def _assets() -> AsyncIterator[str]:
    """Serve the interface's files at one origin for all servers, on their site as `make run` does."""
    [port] = free_ports(1)
    async with python("-m", "inset_bridge.assets", str(port), stderr=asyncio.subprocess.DEVNULL):
        await _until_it_answers(f"http://127.0.0.1:{port}/warm-up")
        yield f"http://assets.nb.localhost:{port}"


def cpu_of(hub: RealHub) -> float:
    """Give the seconds that the hub itself has computed for, without its proxy and its servers."""
    assert hub.process
    times = psutil.Process(hub.process.pid).cpu_times()
    return times.user + times.system


def _config(setting: Setting) -> Path:
    adapted = {"nothing": HERE / "nothing_config.py", "docker": HERE / "containers_config.py"}
    return adapted.get(setting.spawner, ROOT / "hub" / "jupyterhub_config.py")


def _stock_interface(folder: Path) -> Path:
    """Link what JupyterLab and Notebook came with, without what Inset has put beside it here."""
    share = Path(ENV_JUPYTER_PATH[0])
    for name in ("schemas", "static", "themes"):
        (folder / "lab").mkdir(parents=True, exist_ok=True)
        (folder / "lab" / name).symlink_to(share / "lab" / name)
    (folder / "labextensions").mkdir()
    for extension in (share / "labextensions").iterdir():
        if extension.name not in _OF_INSET:
            (folder / "labextensions" / extension.name).symlink_to(extension)
    return folder


async def _run(environment: Mapping[str, str], *command: str) -> None:
    done = await asyncio.create_subprocess_exec(sys.executable, "-m", "inset", *command, env=environment)
    assert await done.wait() == 0, command


async def _until_it_answers(url: str) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient() as http:
        while True:
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
