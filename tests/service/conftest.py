"""The real service with its lifespan and a migrated database, on a socket, in front of a fake hub at the wire."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Executable, text, update
from sqlmodel import select

from inset.app import create_app
from inset.cli import main
from inset.clock import now
from inset.db import open_database
from inset.hosts import apply_hosts
from inset.models import Server, ServerState, Session
from inset.settings import Settings
from tests.fakes.fake_hub import SERVICE_TOKEN, FakeHub
from tests.support.databases import Databases
from tests.support.hosts import AUDIENCE, TestHost, write_hosts_file
from tests.support.serving import served


@pytest.fixture
def host() -> TestHost:
    return TestHost()


@pytest.fixture
def other_host() -> TestHost:
    return TestHost(
        id="other",
        kid="other-1",
        signing_key="another secret, also longer than 32 characters",
        origins=("https://other.example",),
    )


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
async def hub_url(hub: FakeHub) -> AsyncIterator[str]:
    async with served(hub.app) as url:
        yield url


@pytest.fixture
async def database_url(databases: Databases, database_kind: str, tmp_path: Path) -> AsyncIterator[str]:
    """A migrated database."""
    async with databases.migrated(database_kind, tmp_path) as url:
        yield url


@pytest.fixture
def start_timeout() -> int:
    """How long a session may start, in seconds: no test waits for it that does not shorten it."""
    return 60


@pytest.fixture
def queue_timeout() -> int:
    """How long a session may wait for a place, in seconds: no test waits for it that does not shorten it."""
    return 60


@pytest.fixture
def hub_timeout() -> int:
    """How long the hub may take for an answer, in seconds: no test waits for it that does not shorten it."""
    return 30


@pytest.fixture
def recent_documents() -> str:
    """How much the service remembers of what was stored last: nothing, where a test is about what the database has."""
    return "64 MiB"


@pytest.fixture
async def settings(
    database_url: str,
    tmp_path: Path,
    hub_url: str,
    host: TestHost,
    other_host: TestHost,
    start_timeout: int,
    queue_timeout: int,
    hub_timeout: int,
    recent_documents: str,
) -> Settings:
    key = tmp_path / "signing.pem"
    main(["keygen", str(key)])
    settings = Settings(
        public_url=AUDIENCE,
        database_url=database_url,
        signing_key_file=key,
        hub={
            "token": SERVICE_TOKEN,
            "api_url": f"{hub_url}/hub/api",
            "proxy_url": hub_url,
            "seats": 3,
            "timeout": hub_timeout,
        },
        notebook_limit="2 MiB",
        recent_documents=recent_documents,
        start_timeout=start_timeout,
        queue_timeout=queue_timeout,
        check_interval=0.3,
    )
    async with open_database(settings.database_url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "hosts.toml", host, other_host))
    return settings


_TRUSTED = httpx.create_ssl_context()
"""Of every replica here: no TLS is spoken, and reading whom to trust would take longer than many a test."""


@asynccontextmanager
async def running_service(settings: Settings, hub: FakeHub, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run a replica of the service, and give a client of it."""
    # The bridges' client goes last: a connection that it was just making while it went would never be closed.
    async with (
        httpx.AsyncClient(timeout=60, verify=False) as bridges,
        served(create_app(settings, trusted=_TRUSTED)) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=60, verify=False) as client,
    ):
        bridges.base_url = url
        hub.service = bridges
        yield client


@pytest.fixture
async def anonymous(settings: Settings, hub: FakeHub) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends no token of itself."""
    async with running_service(settings, hub) as client:
        yield client


@pytest.fixture
def client(anonymous: httpx.AsyncClient, host: TestHost) -> httpx.AsyncClient:
    """Ada's client."""
    anonymous.headers.update(host.bearer("ada"))
    return anonymous


@pytest.fixture
def new_notebook(client: httpx.AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    async def create(name: str = "Analysis", content: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await client.post("/v1/notebooks", json={"name": name, "content": content or document("1 + 1")})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return create


@pytest.fixture
def ready_session(client: httpx.AsyncClient, new_notebook: Any) -> Callable[..., Awaitable[dict[str, Any]]]:
    async def open(notebook: dict[str, Any] | None = None) -> dict[str, Any]:
        notebook = notebook or await new_notebook()
        opened = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})
        assert opened.status_code == 202, opened.text
        return await until(client, opened.json()["id"], "ready")

    return open


@pytest.fixture
def command(settings, monkeypatch, capsys):
    """Run `inset …` with the test's settings in its environment; gives exit code, output and errors."""
    monkeypatch.setenv("INSET_PUBLIC_URL", settings.public_url)
    monkeypatch.setenv("INSET_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("INSET_SIGNING_KEY_FILE", str(settings.signing_key_file))
    monkeypatch.setenv("INSET_HUB__TOKEN", "unused")

    async def run(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, list(arguments))
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


async def until(client: httpx.AsyncClient, session_id: str, *states: str) -> dict[str, Any]:
    """Follow a session's events until it is in one of these states; gives it."""
    async with asyncio.timeout(100):
        async for kind, _ in events(client, session_id):
            if kind in states:
                return (await client.get(f"/v1/sessions/{session_id}")).json()
    session = (await client.get(f"/v1/sessions/{session_id}")).json()
    raise AssertionError(f"the session never was {states}: {session}")


async def events(
    client: httpx.AsyncClient, session_id: str, *, after: int | None = None, headers: dict[str, str] | None = None
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Read a session's event stream."""
    headers = {**(headers or {}), **({"Last-Event-ID": str(after)} if after is not None else {})}
    async with client.stream("GET", f"/v1/sessions/{session_id}/events", headers=headers) as stream:
        assert stream.status_code == 200
        fields: dict[str, str] = {}
        last = after or 0
        async for line in stream.aiter_lines():
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.strip()
            elif line == "" and "data" in fields:
                # As browsers do: an event without an id leaves the last one as it is.
                last = int(fields.get("id", last))
                yield fields["event"], {"id": last, **json.loads(fields["data"])}
                fields = {}


async def execute(settings: Settings, statement: Executable | str, **values: Any) -> None:
    """Change what the database holds; times only by an `update()`, which writes them as the models do."""
    async with open_database(settings.database_url) as database, database.transaction() as db:
        await db.exec(text(statement) if isinstance(statement, str) else statement, params=values)


async def quiet_for(settings: Settings, hub: FakeHub, time: timedelta) -> None:
    """Have all sessions be so old, and the hub have heard nothing of their servers for so long."""
    await execute(settings, update(Session).values(created_at=now() - time))
    for server in hub.servers.values():
        server.last_activity -= time


async def stopped(settings: Settings) -> None:
    """Wait until the only server's seat is free: a while after the hub has stopped it."""
    async with open_database(settings.database_url) as database, asyncio.timeout(30):
        state = None
        while state is not ServerState.STOPPED:
            await asyncio.sleep(0.02)
            async with database.transaction(read_only=True) as db:
                state = (await db.exec(select(Server.state))).one()


def document(*sources: str) -> dict[str, Any]:
    """An nbformat 4 document with one code cell for each source."""
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for n, source in enumerate(sources)
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def problem(answer: httpx.Response) -> str:
    """Check that an answer is a well-formed problem, and give its name."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["title"]
    assert told["detail"]
    return str(told["type"]).removeprefix("urn:inset:problem:")
