"""Inset in containers, built from this checkout on this machine's engine, and a host application outside of them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker_engine
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.docker.base_image import base_image
from tests.docker.deployment import Deployment, deployment
from tests.support.hosts import TestHost, write_hosts_file
from tests.support.real_hub import ROOT, free_ports
from tests.support.serving import served

SDK = ROOT / "frontend-snippet" / "dist"


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    tool = docker_engine.docker()
    assert tool, "run `python3 dev/docker_engine.py` first"
    assert docker_engine.answers(), "run `python3 dev/docker_engine.py` first"
    with deployment(tool, base_image(tool)) as running:
        yield running


@pytest.fixture(scope="module")
def host(running: Deployment, tmp_path_factory: pytest.TempPathFactory) -> TestHost:
    """A host application with a page on an origin of its own, registered as an operator registers one."""
    [port] = free_ports(1)
    host = TestHost(audience=running.service_url, origins=(f"http://host.localhost:{port}",))
    registry = write_hosts_file(tmp_path_factory.mktemp("hosts") / "hosts.toml", host)
    running.compose("exec", "-T", "service", "inset", "hosts", "apply", "/dev/stdin", stdin=registry.read_text())
    return host


@pytest.fixture
async def host_page(host: TestHost) -> AsyncIterator[str]:
    """The address of the host's page, which shows the notebook that its query names."""
    assert SDK.exists(), "build it first: npm ci && npm run build, in frontend-snippet/"
    routes = [
        Route("/", lambda _: FileResponse(Path(__file__).with_name("host.html"))),
        Route("/token", lambda _: PlainTextResponse(host.token("ada"))),
        Mount("/sdk", StaticFiles(directory=SDK)),
    ]
    [origin] = host.origins
    async with served(Starlette(routes=routes), port=int(origin.rpartition(":")[2])):
        yield f"{origin}/"


@pytest.fixture
async def api(running: Deployment, host: TestHost) -> AsyncIterator[httpx.AsyncClient]:
    """The service, called with the token of the host's user ada."""
    base = f"http://127.0.0.1:{running.service_port}"
    async with httpx.AsyncClient(base_url=base, headers=host.bearer("ada"), timeout=60) as client:
        yield client
