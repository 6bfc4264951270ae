"""The Python client in front of the real service, which is started once for all of its tests."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from inset_client import AsyncInset, AsyncUser, Inset, Retries
from tests.support.real_service import RealService, real_service

QUICK = Retries(first=0.01)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    with real_service(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="session")
def access(service: RealService) -> dict[str, Any]:
    """What a host's backend knows of its service."""
    host = service.host
    return {"url": service.url, "issuer": host.id, "key_id": host.kid, "key": host.signing_key}


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


class Line(httpx.BaseTransport):
    """The way to the service, with accidents on it: each of `accidents` happens to one request."""

    def __init__(self, *accidents: Callable[["Line", httpx.Request], httpx.Response]) -> None:
        self._way = httpx.HTTPTransport()
        self.accidents = list(accidents)
        self.sent: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.sent.append(request)
        return self.accidents.pop(0)(self, request) if self.accidents else self.forward(request)

    def forward(self, request: httpx.Request) -> httpx.Response:
        return self._way.handle_request(request)

    def close(self) -> None:
        self._way.close()


@pytest.fixture
def over(access: dict[str, Any], name: str) -> Iterator[Callable[..., Any]]:
    """Give a user's client over a line, which tries again without waiting long."""
    opened: list[Inset] = []

    def connect(line: Line, **options: Any) -> Any:
        opened.append(Inset(**access, transport=line, **{"retries": QUICK, **options}))
        return opened[-1].as_user(name)

    yield connect
    for inset in opened:
        inset.close()
