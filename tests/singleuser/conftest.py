"""One real hub with one real server for all tests of the bridge; the service is a fake."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.fakes.fake_service import FakeService
from tests.support.real_hub import RealHub, real_hub
from tests.support.serving import served

SEAT = "seat-001"
HOST_ORIGIN = "http://localhost:8090"


def notebook(source: str) -> bytes:
    """As Jupyter itself would write it."""
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "one",
        "metadata": {},
        "outputs": [],
        "source": [source] if source else [],
    }
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    document = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


@dataclass
class Seat:
    """A running server, with what its own service may do there."""

    hub: RealHub
    service: FakeService
    token: str
    http: httpx.AsyncClient
    """As the service: by token."""
    anonymous: httpx.AsyncClient
    """As anybody."""
    server_id: str

    async def load(self, source: str, *, name: str = "analysis") -> tuple[str, str]:
        """Put a notebook of the service's into the server; its id and path."""
        content = notebook(source)
        notebook_id = self.service.add_notebook(content, name=name)
        path = f"work/{notebook_id}/{name}.ipynb"
        answer = await self.put_document(notebook_id, path, version=1, content=content)
        assert answer.status_code == 200, answer.text
        return notebook_id, path

    async def put_document(self, notebook_id: str, path: str, *, version: int, content: bytes) -> httpx.Response:
        body = {
            "path": path,
            "version": version,
            "sha256": hashlib.sha256(content).hexdigest(),
            "content": content.decode(),
        }
        return await self.http.put(f"inset/api/documents/{notebook_id}", json=body)

    async def save(self, path: str, source: str, **more: Any) -> None:
        """As Jupyter's page does; `more` is what ours says besides."""
        answer = await self.put(path, source, **more)
        assert answer.status_code in (200, 201), answer.text

    async def put(self, path: str, source: str, **more: Any) -> httpx.Response:
        """Save as `save` does, whatever the answer."""
        body = {"type": "notebook", "format": "json", "content": json.loads(notebook(source)), **more}
        return await self.http.put(f"api/contents/{path}", json=body)

    async def flush(self, path: str, **asked: Any) -> httpx.Response:
        return await self.http.post("inset/api/flush", json={"path": path, "origin": "save", **asked})

    async def text(self, path: str) -> str:
        answer = await self.http.get(f"api/contents/{path}", params={"type": "file", "format": "text"})
        return str(answer.json()["content"])

    def ticket(self, notebook_id: str, path: str, **changes: Any) -> str:
        next = f"/user/{SEAT}/notebooks/{path}"
        return self.service.issue_ticket(
            **{
                "hub_token": self.token,
                "notebook_id": notebook_id,
                "next": next,
                "server_id": self.server_id,
                **changes,
            }
        )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service() -> FakeService:
    return FakeService()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service_url(service: FakeService) -> AsyncIterator[str]:
    async with served(service.app) as url:
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hub(tmp_path_factory: pytest.TempPathFactory, service_url: str) -> AsyncIterator[RealHub]:
    settings = {"INSET_SERVICE_URL": service_url, "INSET_ALLOW_OPEN_NETWORK": "1"}
    async with real_hub(tmp_path_factory.mktemp("bridge"), settings) as hub:
        yield hub


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def seat(hub: RealHub, service: FakeService) -> AsyncIterator[Seat]:
    async with started(hub, service, SEAT, origins=[HOST_ORIGIN]) as seat:
        yield seat


@asynccontextmanager
async def started(hub: RealHub, service: FakeService, name: str, **options: Any) -> AsyncIterator[Seat]:
    """A server of a test's own; `options` are those of its start."""
    server_id = await hub.start_server(name, **options)
    token = await hub.mint_token(name)
    try:
        async with hub.seat(name, token=token) as http, hub.seat(name) as anonymous:
            yield Seat(hub, service, token, http, anonymous, server_id)
    finally:
        await hub.stop_server(name)
