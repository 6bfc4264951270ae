"""Certificates by ACME from a real server: fetched, served and renewed, with nobody doing anything."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.acme_server import NAMES, Certified, certified
from tests.docker.deployment import Deployment

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture
def acme(running: Deployment, tmp_path: Path) -> Iterator[Certified]:
    with certified(running, tmp_path) as made:
        yield made


async def test_a_certificate_for_all_names_is_fetched_and_renewed(acme: Certified) -> None:
    first = await shown(acme, NAMES[0], unlike=None)
    for name in NAMES:
        assert await shown(acme, name, unlike=None) == first

    # It looks again when it starts, as it does twice a day.
    await asyncio.to_thread(acme.composed.compose, "restart", "acme")
    assert await shown(acme, NAMES[0], unlike=first)


async def shown(acme: Certified, name: str, *, unlike: str | None) -> str:
    """Wait until the edge serves a name with another certificate of the ACME server's; gives its serial number."""
    async with asyncio.timeout(180):
        while True:
            found = await asyncio.to_thread(_shown, acme, name)
            if found not in (None, unlike):
                return str(found)
            await asyncio.sleep(0.5)


def _shown(acme: Certified, name: str) -> str | None:
    trust = ssl.create_default_context(cadata=acme.authority())
    try:
        with (
            socket.create_connection(("127.0.0.1", acme.port), timeout=30) as plain,
            trust.wrap_socket(plain, server_hostname=name) as connection,
        ):
            return str((connection.getpeercert() or {})["serialNumber"])
    except (ssl.SSLError, OSError):
        return None
