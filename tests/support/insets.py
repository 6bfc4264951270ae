"""Insets that a host's backend can call: the real service, and the kits that stand in for it in a host's own tests."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from node import node_command

from inset_client import AsyncInset, AsyncUser
from inset_client.testkit import fake_inset
from inset_client.testkit.serving import listening, served
from tests.support.real_hub import ROOT
from tests.support.real_service import RealService, real_service
from tests.support.webhooks import ALL as EVENTS
from tests.support.webhooks import SECRET, Receiver

ALL = pytest.mark.parametrize("kind", ["service", "python", "javascript"])
"""The real service, and every kit."""


@dataclass(frozen=True)
class Backend:
    """Where a host's back end takes webhooks, and what has come."""

    url: str
    received: Receiver


@pytest.fixture(scope="session")
def backend() -> Iterator[Backend]:
    """The one that all of them tell of everything, for the tests of a worker."""
    receiver = Receiver()
    with listening() as socket, served(receiver, socket):
        yield Backend(f"http://127.0.0.1:{socket.getsockname()[1]}/inset-events", receiver)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[RealService]:
    """The real service, started once for the tests of a worker."""
    endpoint = {"name": "main", "url": backend.url, "events": EVENTS, "secrets": [SECRET]}
    with real_service(tmp_path_factory.mktemp("service"), webhooks=[endpoint]) as service:
        yield service


@pytest.fixture(scope="session")
def service_access(service: RealService) -> dict[str, Any]:
    """What a host's backend knows of its service."""
    host = service.host
    return {"url": service.url, "issuer": host.id, "key_id": host.kid, "key": host.signing_key}


@pytest.fixture(scope="session")
def python_access(backend: Backend) -> Iterator[dict[str, Any]]:
    """The same of the Python kit."""
    with fake_inset() as fake:
        fake.send_webhooks(backend.url, secret=SECRET)
        yield dict(fake.access)


@contextmanager
def javascript_kit(origin: str, webhooks: str = "") -> Iterator[dict[str, Any]]:
    """Run the JavaScript kit, which ends when its standard input does; gives what `Inset(…)` takes."""
    command = [node_command(), str(ROOT / "tests" / "contract" / "javascript_kit.mjs"), origin, webhooks, SECRET]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as kit:
        assert kit.stdout
        assert kit.stdin
        yield json.loads(kit.stdout.readline())
        kit.stdin.close()


@pytest.fixture(scope="session")
def javascript_access(backend: Backend) -> Iterator[dict[str, Any]]:
    """The same of the JavaScript kit."""
    with javascript_kit("http://localhost:3000", backend.url) as access:
        yield access


@pytest.fixture
def kind() -> str:
    """Which Inset a test is about, unless it says so."""
    return "service"


@pytest.fixture
def access(kind: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What `Inset(…)` takes."""
    return dict(request.getfixturevalue(f"{kind}_access"))


@pytest.fixture
async def inset(access: dict[str, Any]) -> AsyncIterator[AsyncInset]:
    async with AsyncInset(**access) as inset:
        yield inset


@pytest.fixture
def name() -> str:
    """A user whom no other test knows."""
    return f"user-{uuid4().hex[:8]}"


@pytest.fixture
def user(inset: AsyncInset, name: str) -> AsyncUser:
    return inset.as_user(name)
