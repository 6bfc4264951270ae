"""The real service in a thread of its own, in front of a fake hub, for clients that wait for answers."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from inset.app import create_app
from inset.cli import main
from inset.db import open_database
from inset.hosts import apply_hosts
from inset.schema import upgrade
from inset.settings import Settings
from inset_client.testkit.serving import listening, served
from tests.fakes.fake_hub import SERVICE_TOKEN, FakeHub
from tests.support.hosts import TestHost, write_hosts_file


@dataclass(frozen=True)
class RealService:
    """A service, the host application that is registered with it, and the hub it stands on."""

    url: str
    host: TestHost
    hub: FakeHub


@contextmanager
def real_service(
    folder: Path, *, seats: int = 20, webhooks: Sequence[dict[str, Any]] = (), **registration: Any
) -> Iterator[RealService]:
    """Run a service until the block is left.

    `registration` is what the host's table says beside its keys, `webhooks` are its endpoints.
    """
    hub = FakeHub(seats=seats)
    with listening() as hub_socket, listening() as socket:
        hub_url, url = (f"http://127.0.0.1:{one.getsockname()[1]}" for one in (hub_socket, socket))
        host = TestHost(audience=url, registration=registration, webhooks=list(webhooks))
        settings = _settings(folder, url, hub_url, seats)
        upgrade(settings.database_url)
        asyncio.run(_register(settings, write_hosts_file(folder / "hosts.toml", host)))
        with served(_with_bridges(hub, url), hub_socket), served(create_app(settings), socket):
            yield RealService(url, host, hub)


def _with_bridges(hub: FakeHub, url: str) -> Starlette:
    """Give the hub's bridges their way to the service, in the thread in which they use it."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(base_url=url, timeout=20) as hub.service:
            yield

    return Starlette(routes=[Mount("/", hub.app)], lifespan=lifespan)


def _settings(folder: Path, url: str, hub_url: str, seats: int) -> Settings:
    key = folder / "signing.pem"
    main(["keygen", str(key)])
    return Settings(
        public_url=url,
        database_url=f"sqlite:///{folder}/inset.db",
        signing_key_file=key,
        hub={"token": SERVICE_TOKEN, "api_url": f"{hub_url}/hub/api", "proxy_url": hub_url, "seats": seats},
        notebook_limit="2 MiB",
        check_interval=0.3,
        webhooks={"retry_after": 0.3},
    )


async def _register(settings: Settings, file: Path) -> None:
    async with open_database(settings.database_url) as database:
        await apply_hosts(database, file, signing_key_file=settings.signing_key_file)
