"""The previous release of the service before a hub, on a database that it made itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.faults.replica import Replica
from tests.support.databases import Databases
from tests.support.hosts import TestHost, write_hosts_file
from tests.support.real_hub import free_ports
from tests.upgrade import previous


@pytest.fixture(scope="session")
def previous_release(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What leads a process to the previous release's code."""
    return previous.install(tmp_path_factory.mktemp("previous"))


@pytest.fixture
def port() -> int:
    """Where the service listens before and after its upgrade."""
    return free_ports(1)[0]


@pytest.fixture
def host(port: int) -> TestHost:
    return TestHost(audience=f"http://127.0.0.1:{port}")


@pytest.fixture
async def database_url(databases: Databases, database_kind: str, tmp_path: Path) -> AsyncIterator[str]:
    """A database without a table."""
    async with databases.empty(database_kind, tmp_path) as url:
        yield url


@pytest.fixture
async def environment(
    database_url: str, database_kind: str, hub_settings: dict[str, str], host: TestHost, tmp_path: Path,
    previous_release: dict[str, str],
) -> dict[str, str]:  # fmt: skip
    """The service's settings, the same for both releases. Here PostgreSQL's contents are encrypted, SQLite's are not.

    The database is made, and the host application registered, by the previous release.
    """
    settings = {
        "INSET_PUBLIC_URL": host.audience,
        "INSET_DATABASE_URL": database_url,
        "INSET_SIGNING_KEY_FILE": str(tmp_path / "signing.pem"),
        **hub_settings,
    }
    commands = [f"keygen {tmp_path}/signing.pem"]
    if database_kind == "postgresql":
        commands.append(f"keygen --master {tmp_path}/master")
        settings["INSET_MASTER_KEY_FILE"] = f"{tmp_path}/master"
    hosts = write_hosts_file(tmp_path / "hosts.toml", host)
    await previous.inset({**settings, **previous_release}, *commands, "db upgrade", f"hosts apply {hosts}")
    return settings


@pytest.fixture
async def old(
    environment: dict[str, str], previous_release: dict[str, str], port: int, tmp_path: Path
) -> AsyncIterator[Replica]:
    """The previous release's service, which runs."""
    replica = Replica({**environment, **previous_release}, port, tmp_path / "old.log")
    await replica.start()
    yield replica
    await replica.stop()


@pytest.fixture
async def client(host: TestHost) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=host.audience, headers=host.bearer("ada"), timeout=60) as client:
        yield client
