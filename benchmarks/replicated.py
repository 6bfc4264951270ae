"""Two replicas of the service on PostgreSQL, behind a balancer, with a real hub that starts real servers."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.story.parts import Inset
from inset.cli import main as inset
from inset.db import open_database
from inset.hosts import apply_hosts
from tests.faults.balancer import Balancer
from tests.faults.replica import Replica
from tests.support.hosts import TestHost, write_hosts_file
from tests.support.real_hub import ROOT, free_ports, real_hub
from tests.support.serving import served

_PATIENT = Path(__file__).with_name("patient_hub_config.py")


@dataclass(frozen=True)
class Replicated(Inset):
    """The service by its balancer's address, which users and bridges alike are given."""

    replicas: Sequence[Replica]

    @property
    def url(self) -> str:
        return f"http://{self.address}"


@asynccontextmanager
async def replicated(folder: Path, database_url: str, *, seats: int) -> AsyncIterator[Replicated]:
    """Run all of it on a migrated database until the block is left."""
    ports, [own_port] = free_ports(2), free_ports(1)
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    host = TestHost()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=None, keepalive_expiry=30))
        )
        # Both are up whenever anybody calls, so nothing watches which is.
        address = await stack.enter_async_context(served(Balancer(urls, http).app, own_port))
        more = {"INSET_SERVICE_URL": address, "INSET_SEATS": str(seats), "PYTHONPATH": str(ROOT)}
        hub = await stack.enter_async_context(real_hub(folder, more, config=_PATIENT))
        of_the_hub = before_hub(hub.token, hub.api_url, hub.bind_url, seats) | {"INSET_START_TIMEOUT": "600"}
        replicas = await stack.enter_async_context(two_replicas(folder, database_url, host, of_the_hub, ports=ports))
        yield Replicated(hub, host, address.removeprefix("http://"), replicas)


def before_hub(token: str, api_url: str, proxy_url: str, seats: int) -> dict[str, str]:
    """Give what a replica is told of its hub."""
    return {
        "INSET_HUB__TOKEN": token,
        "INSET_HUB__API_URL": api_url,
        "INSET_HUB__PROXY_URL": proxy_url,
        "INSET_HUB__SEATS": str(seats),
    }


@asynccontextmanager
async def two_replicas(
    folder: Path, database_url: str, host: TestHost, of_the_hub: Mapping[str, str], *, ports: Sequence[int] = ()
) -> AsyncIterator[Sequence[Replica]]:
    """Run them until the block is left, with one host application; each logs into `replica-1.log`, `replica-2.log`."""
    key = folder / "signing.pem"
    await asyncio.to_thread(inset, ["keygen", str(key)])
    async with open_database(database_url) as database:
        await apply_hosts(database, write_hosts_file(folder / "hosts.toml", host))
    environment = {
        "INSET_PUBLIC_URL": host.audience,
        "INSET_DATABASE_URL": database_url,
        "INSET_SIGNING_KEY_FILE": str(key),
        "INSET_TOKEN_MAX_LIFETIME": "3600",
        **of_the_hub,
    }
    async with AsyncExitStack() as stack:
        replicas = []
        for number, port in enumerate(ports or free_ports(2), start=1):
            replicas.append(Replica(environment, port, folder / f"replica-{number}.log"))
            stack.push_async_callback(replicas[-1].stop)
            await replicas[-1].start()
        yield replicas
