"""Replicas of the service in processes of their own, on one database, in front of a fake hub."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from inset.settings import Settings
from tests.faults.replica import Replica
from tests.service.conftest import (  # noqa: F401
    database_url,
    host,
    hub,
    hub_timeout,
    hub_url,
    other_host,
    queue_timeout,
    recent_documents,
    settings,
    start_timeout,
)
from tests.support.real_hub import free_ports


@pytest.fixture
async def new_replica(settings: Settings, tmp_path) -> AsyncIterator[Callable[..., Replica]]:  # noqa: F811
    replicas: list[Replica] = []

    def make(port: int | None = None, **more: str) -> Replica:
        port = port or free_ports(1)[0]
        environment = {
            "INSET_PUBLIC_URL": settings.public_url,
            "INSET_DATABASE_URL": settings.database_url,
            "INSET_SIGNING_KEY_FILE": str(settings.signing_key_file),
            "INSET_HUB__TOKEN": settings.hub.token.get_secret_value(),
            "INSET_HUB__API_URL": settings.hub.api_url,
            "INSET_HUB__PROXY_URL": settings.hub.proxy_url,
            "INSET_HUB__SEATS": str(settings.hub.seats),
            **more,
        }
        replicas.append(Replica(environment, port, tmp_path / f"replica-{port}.log"))
        return replicas[-1]

    yield make
    for replica in replicas:
        await replica.stop()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client
