"""The whole stack with the edge in front, whose public addresses are https, and a host's site on it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext
from stack import Stack

from inset.models import EVERY_CAPABILITY
from inset_bridge import assets
from tests.security.conftest import NewNotebook, new_notebook_on
from tests.support.chromium import chromium
from tests.support.edge import DOMAIN, SERVICE_NAME, TOKEN, Edge, edge
from tests.support.real_hub import free_ports
from tests.support.site import Site, notebook
from tests.support.whole import new_stack


@dataclass
class EdgeStack(Stack):
    """What `make run` starts, known by the addresses of the edge in front."""

    edge_port: int = 0

    @property
    def service_url(self) -> str:
        return f"https://{SERVICE_NAME}:{self.edge_port}"

    @property
    def hub_url(self) -> str:
        return f"https://{DOMAIN}:{self.edge_port}"


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStack]:
    [port] = free_ports(1)
    settings = {"INSET_EDGE": "1", "INSET_EDGE_TOKEN": TOKEN, "INSET_ASSETS_URL": f"https://assets.{DOMAIN}:{port}"}
    plain = new_stack(tmp_path_factory.mktemp("stack"), **settings)
    stack = EdgeStack(plain.folder, plain.ports, plain.say, plain.extra_environment, edge_port=port)
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="package")
def in_front(stack: EdgeStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    ports = stack.ports
    folder = tmp_path_factory.mktemp("nginx") / "edge"
    hub_proxy, service = f"127.0.0.1:{ports.hub}", f"127.0.0.1:{ports.service}"
    with edge(folder, port=stack.edge_port, hub_proxy=hub_proxy, service=service) as made:
        assets.write(folder / "assets")
        yield made


@pytest.fixture(scope="package")
def registered(stack: EdgeStack) -> Site:
    return Site.registered(stack)


@pytest.fixture
async def site(registered: Site, in_front: Edge) -> AsyncIterator[Site]:
    async with registered.served():
        yield registered


@pytest.fixture
def new_notebook(site: Site) -> NewNotebook:
    return new_notebook_on(site)


@asynccontextmanager
async def in_chromium(
    folder: Path, front: Edge, *, preferences: dict[str, Any] | None = None
) -> AsyncIterator[BrowserContext]:
    """A browser that trusts this edge's certificate, and no other that it does not know."""
    pin = f"--ignore-certificate-errors-spki-list={front.certificate_pin}"
    async with chromium(folder / "profile", preferences, arguments=[pin]) as context:
        yield context


@dataclass(frozen=True)
class Entered:
    """A browser's way into a user's notebook: what its requests carry."""

    notebook_id: str
    host: str
    prefix: str
    headers: dict[str, str]


async def enter(site: Site, front: Edge, user: str, may: Sequence[str] = EVERY_CAPABILITY) -> Entered:
    """Open a notebook for a user who may do this, and trade its ticket for cookies as the entry page does."""
    async with site.client(user) as service:
        service.headers.update(site.host.bearer(site.host.id, act_for=user, may=list(may)))
        made = (await service.post("/v1/notebooks", json={"name": "Plan", "content": notebook()})).json()
        opened = (await service.post("/v1/sessions", json={"notebook_id": made["id"]})).json()
        async with asyncio.timeout(90):
            while (answer := await service.post(f"/v1/sessions/{opened['id']}/iframe-url")).status_code == 409:
                await asyncio.sleep(0.2)
    url = urlsplit(answer.raise_for_status().json()["url"])
    assert (url.scheme, url.port) == ("https", front.port)
    host = url.hostname or ""
    body = json.dumps({"ticket": url.fragment.removeprefix("ticket=")}).encode()
    entered = await front.ask(host, url.path, method="POST", headers={"Content-Type": "application/json"}, body=body)
    assert entered.status == 200, entered
    cookies = dict(one.partition(";")[0].split("=", 1) for one in entered.cookies)
    headers = {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "X-XSRFToken": cookies["_xsrf"],
    }
    return Entered(made["id"], host, url.path.removesuffix("inset/enter"), headers)
