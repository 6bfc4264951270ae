"""Inset in containers, built from this checkout on this machine's engine, and the demo's users in a real browser."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import BrowserContext, Page

from tests.docker.by_edge import by_edge
from tests.docker.deployment import Deployment, deployment
from tests.docker.sessions import no_session_left
from tests.support.chromium import chromium
from tests.support.hosts import TestHost

PASSWORD = "fieldnotes"


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("deployment")) as running:
        yield running


@pytest.fixture(scope="package")
def host(running: Deployment) -> TestHost:
    """The demo's own place in the registry, so that a test can call as its pages do."""
    key = running.inside("demo", "cat", "/secrets/demo/key.pem")
    return TestHost(signing_key=key, alg="ES256", audience=running.service_url, origins=(running.demo_url,))


@pytest.fixture
async def api(running: Deployment, host: TestHost) -> AsyncIterator[httpx.AsyncClient]:
    """The service by the edge, called with the token of the host's user ada; no session is left open at the end."""

    async def signed(request: httpx.Request) -> None:
        # A token lasts five minutes, and on a slow machine a test lasts longer. Another user's call has its own.
        if "Authorization" not in request.headers:
            request.headers.update(host.bearer("ada"))

    async with by_edge(running.port, running.front.trust()) as client:
        client.event_hooks["request"].append(signed)
        yield client
        await no_session_left(running, client)


@pytest.fixture
async def browser(running: Deployment, tmp_path: Path) -> AsyncIterator[BrowserContext]:
    """A browser that trusts this edge's certificate, and no other that it does not know."""
    pin = f"--ignore-certificate-errors-spki-list={running.front.certificate_pin}"
    async with chromium(tmp_path / "profile", arguments=[pin]) as context:
        yield context


@pytest.fixture
async def page(browser: BrowserContext, running: Deployment) -> Page:
    """Ada's page, logged in at the demo."""
    page = browser.pages[0]
    await page.goto(running.demo_url)
    await page.get_by_label("User name").fill("ada")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_role("heading", name="Analyses").wait_for()
    return page
