"""`diagnose()` in a real browser: CORS, a page's policy and a frame's silence are the browser's own to tell."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from jose import jwt
from playwright.async_api import Browser, Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from inset_client.testkit import FakeInset
from tests.support.chromium import fresh_page
from tests.support.host_page import SDK
from tests.support.real_hub import free_ports
from tests.support.serving import served

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

KEY = "the tests' own key, of more than thirty-two bytes"
PAGE = """<!doctype html>
<title>Host</title>
<script type="module">
  import { diagnose } from '/sdk/diagnose.js';
  window.examine = (token, timeout) => diagnose({ serviceUrl: SERVICE, fetchToken: () => token, timeout });
</script>
"""


@dataclass
class Host:
    port: int
    inset: FakeInset
    policy: str = ""
    """The page's own Content-Security-Policy."""
    ancestors: str = ""
    """What the frame's server says of who may frame it."""

    def url(self, name: str = "host") -> str:
        return f"http://{name}.localhost:{self.port}/"

    def token(self, *, age: int = 0) -> str:
        now = int(time.time()) - age
        claims = {"iss": "demo", "aud": self.inset.url, "sub": "ada", "iat": now, "exp": now + 60}
        return jwt.encode(claims, KEY, algorithm="HS256", headers={"kid": "demo-1"})

    async def open_a_notebook(self) -> None:
        """Have ada's notebook be open, as it is once its frame was shown."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        transport = httpx.ASGITransport(app=self.inset.app)
        async with httpx.AsyncClient(base_url="http://inset", transport=transport, headers=headers) as client:
            notebook = (await client.post("/v1/notebooks", json={"name": "Of ada"})).json()
        self.inset.open(notebook["id"])


@pytest_asyncio.fixture(loop_scope="session")
async def host() -> AsyncIterator[Host]:
    assert (SDK / "diagnose.js").exists(), "build it first: npm ci && npm run build, in frontend-snippet/"
    host_port, service_port = free_ports(2)
    service = f"http://localhost:{service_port}"
    inset = FakeInset(
        url=service,
        key=KEY,
        origin=f"http://host.localhost:{host_port}",
        frames=f"http://seat-001.nb.localhost:{service_port}",
    )
    host = Host(host_port, inset)

    async def page(request: Request) -> HTMLResponse:
        headers = {"Content-Security-Policy": host.policy} if host.policy else {}
        return HTMLResponse(PAGE.replace("SERVICE", repr(service)), headers=headers)

    async def framed(scope: Any, receive: Any, send: Any) -> None:
        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start" and scope["path"] == "/frame" and host.ancestors:
                message["headers"].append((b"content-security-policy", host.ancestors.encode()))
            await send(message)

        await inset.app(scope, receive, with_policy)

    app = Starlette(routes=[Route("/", page), Mount("/sdk", StaticFiles(directory=SDK))])
    async with served(app, host_port), served(framed, service_port):
        yield host


@pytest_asyncio.fixture(loop_scope="session")
async def page(host: Host, chromium_for_all: Browser) -> AsyncIterator[Page]:
    """Closed before the servers."""
    async with fresh_page(chromium_for_all) as page:
        yield page


async def examine(page: Page, url: str, token: str, *, patience: int = 20_000) -> dict[str, dict[str, str]]:
    """Have the page diagnose itself; `patience` is how many milliseconds each step may take."""
    await page.goto(url)
    await page.wait_for_function("window.examine")
    found = await page.evaluate("([token, patience]) => examine(token, patience)", [token, patience])
    return {finding["code"]: finding for finding in found}


async def test_a_good_set_up_is_found_good(page: Page, host: Host) -> None:
    await host.open_a_notebook()

    found = await examine(page, host.url(), host.token())

    assert {code: finding["level"] for code, finding in found.items()} == {
        "service": "ok",
        "token": "ok",
        "frame": "ok",
    }
    assert await page.locator("iframe").count() == 0


async def test_a_page_of_an_origin_that_is_not_registered(page: Page, host: Host) -> None:
    found = await examine(page, host.url("other"), host.token())

    assert list(found) == ["origin-not-registered"]
    assert f"http://other.localhost:{host.port}" in found["origin-not-registered"]["fix"]


async def test_a_token_that_has_expired(page: Page, host: Host) -> None:
    found = await examine(page, host.url(), host.token(age=100))

    assert found["token-expired"]["level"] == "error"
    assert "by the service’s clock" in found["token-expired"]["message"]


async def test_a_page_whose_own_policy_blocks_the_frame(page: Page, host: Host) -> None:
    await host.open_a_notebook()
    host.policy = "frame-src https://elsewhere.example"

    found = await examine(page, host.url(), host.token())

    assert "http://*.nb.localhost" in found["frame-src-blocked"]["fix"]


async def test_a_page_whose_own_policy_blocks_the_service(page: Page, host: Host) -> None:
    host.policy = "connect-src 'self'"

    found = await examine(page, host.url(), host.token())

    assert list(found) == ["connect-src-blocked"]


async def test_a_server_that_refuses_to_be_framed_here(page: Page, host: Host) -> None:
    await host.open_a_notebook()
    host.ancestors = "frame-ancestors https://elsewhere.example"

    # The refused frame says nothing for all of it; what comes before and after has to answer within it.
    found = await examine(page, host.url(), host.token(), patience=6_000)

    assert "X-Frame-Options" in found["framing-refused"]["fix"]


async def test_a_service_that_is_away(page: Page, host: Host) -> None:
    await page.route("**/healthz", lambda route: route.abort())

    assert list(await examine(page, host.url(), host.token())) == ["service-unreachable"]
