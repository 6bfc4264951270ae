"""The edge's certificates: those made on the first start, and others that take their place while it runs."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.docker.deployment import Deployment
from tests.support.edge import make_certificates

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

NAMES = ("inset.localhost", "fieldnotes.localhost", "seat-001.nb.localhost", "seat-016.nb.localhost")


async def served(running: Deployment, name: str, trusted: Path) -> bool:
    """Tell whether a name is served with a certificate of this CA."""
    return await asyncio.to_thread(_served, running.port, name, trusted)


def _served(port: int, name: str, trusted: Path) -> bool:
    trust = ssl.create_default_context(cafile=str(trusted))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        try:
            with trust.wrap_socket(plain, server_hostname=name):
                return True
        except ssl.SSLCertVerificationError:
            return False


async def test_the_local_ca_signs_for_every_name(running: Deployment) -> None:
    for name in NAMES:
        assert await served(running, name, running.front.folder / "ca.pem"), name


async def test_a_certificate_that_is_brought_along_is_taken_at_once_and_given_up_again(
    running: Deployment, tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    volume = ("run", "--rm", "--interactive", "--network=none", f"--volume={running.name}_certificates:/certificates")
    image = running.inspected(running.container("edge"))["Config"]["Image"]

    def write(name: str, text: str) -> None:
        script = f"cat > /certificates/{name} && chown 1003 /certificates/{name}"
        running.composed.docker(*volume, "--user=0", image, "sh", "-c", script, stdin=text)

    for name, made in (("key.pem", "key.pem"), ("fullchain.pem", "chain.pem")):
        await asyncio.to_thread(write, name, (tmp_path / made).read_text())
    await until(lambda: served(running, "inset.localhost", tmp_path / "ca.pem"))

    remove = ("--user=0", image, "rm", "/certificates/fullchain.pem", "/certificates/key.pem")
    await asyncio.to_thread(running.composed.docker, *volume, *remove)
    await until(lambda: served(running, "inset.localhost", running.front.folder / "ca.pem"))


async def until(so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await so():
            await asyncio.sleep(0.2)
