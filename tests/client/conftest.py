"""The Python client in front of the real service, which is started once for all of its tests."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from inset_client import Inset, Retries
from tests.support.insets import access, backend, inset, kind, name, service, service_access, user

__all__ = ["access", "backend", "inset", "kind", "name", "service", "service_access", "user"]

QUICK = Retries(first=0.01)


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
    for client in opened:
        client.close()
