"""A signed URL in the wrong hands, and the ways around it."""

import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from jose import jwt
from playwright.async_api import BrowserContext, Page, expect

from tests.security.conftest import embed, host_page, iframe_url
from tests.support.chromium import ALL_COOKIES, chromium
from tests.support.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]


async def _refusal(page: Page, url: str) -> str | None:
    """Open a URL as a page of its own; gives the heading it ends with."""
    await page.goto("about:blank")
    await page.goto(url)
    await expect(page.locator("#title")).not_to_have_text("Opening the notebook…")
    return await page.locator("#title").text_content()


async def test_a_used_url_opens_nothing_in_another_browser(page: Page, site: Site, new_notebook, tmp_path: Path):
    minted: list[str] = []

    async def keep(response) -> None:
        if response.url.endswith("/iframe-url") and response.request.method == "POST":
            minted.append((await response.json())["url"])

    page.on("response", keep)
    frame = await embed(page, "ada", await new_notebook("ada"))

    async with chromium(tmp_path / "thief", ALL_COOKIES) as thief:
        stolen = thief.pages[0]
        assert await _refusal(stolen, minted[0]) == "This address was used before"
        assert await _refusal(stolen, frame.url) == "This session is over"
        assert await thief.cookies() == []
    assert (await page.evaluate("notebook.save()"))["version"] >= 1


async def test_an_expired_url_opens_nothing(page: Page, site: Site, new_notebook):
    url = await iframe_url(site, "ada", await new_notebook("ada"))
    address, _, ticket = url.partition("#ticket=")
    claims = jwt.get_unverified_claims(ticket)
    claims |= {"iat": int(time.time()) - 600, "exp": int(time.time()) - 300}
    key = (site.stack.folder / "signing.pem").read_text()
    expired = jwt.encode(claims, key, algorithm="ES256", headers=jwt.get_unverified_header(ticket))

    assert await _refusal(page, f"{address}#ticket={expired}") == "This address has expired"


async def test_a_url_for_one_server_opens_nothing_at_another_and_stays_good(page: Page, site: Site, new_notebook):
    adas = await iframe_url(site, "ada", await new_notebook("ada"))
    graces = await iframe_url(site, "grace", await new_notebook("grace"))

    mixed = graces.partition("#")[0] + "#" + adas.partition("#")[2]

    assert await _refusal(page, mixed) == "This address is not valid"
    await page.goto(adas)
    await page.locator(".jp-Notebook").wait_for(timeout=60_000)


@pytest.mark.parametrize("place", ["", "lab", "tree", "api/contents", "files/x", "inset/enter"])
async def test_a_hub_token_in_an_address_opens_nothing(page: Page, site: Site, new_notebook, place: str):
    url = await iframe_url(site, "ada", await new_notebook("ada"))
    prefix = url.partition("inset/enter")[0]
    seat = urlsplit(url).path.split("/")[2]
    token = await _mint(site, seat)

    answer = await page.goto(f"{prefix}{place}?token={token}")

    assert answer is not None
    if place == "inset/enter":
        await page.get_by_role("heading", name="This address is not valid").wait_for()
    else:
        assert answer.status in (401, 403)
    assert [cookie["name"] for cookie in await page.context.cookies() if cookie["name"] != "_xsrf"] == []


async def test_the_hubs_pages_stay_closed_to_a_browser_that_shows_a_notebook(
    browser: BrowserContext, site: Site, new_notebook
):
    frame = await embed(await host_page(browser, site), "ada", await new_notebook("ada"))
    seat = (urlsplit(frame.url).hostname or "").removesuffix(".localhost")
    other = await browser.new_page()
    for path in ("home", "token", "admin", "spawn", "login", "api/user", "api/users", "api/info"):
        for name in ("nb", seat):
            answer = await other.goto(f"http://{name}.localhost:{site.stack.ports.hub}/hub/{path}")
            assert answer is not None
            assert answer.status in (401, 403, 404), path
            assert "frame-ancestors 'none'" in (answer.headers.get("content-security-policy") or ""), path
        assert await frame.evaluate("async (path) => (await fetch('/hub/' + path)).status", path) in (401, 403, 404), (
            path
        )


async def _mint(site: Site, seat: str) -> str:
    """A token that does open this server, as the service has one made for itself."""
    hub_token = json.loads((site.stack.folder / "secrets.json").read_text())["hub_token"]
    async with httpx.AsyncClient(headers={"Authorization": f"token {hub_token}"}) as hub:
        body = {"scopes": [f"access:servers!server={seat}/"], "expires_in": 300}
        url = f"http://127.0.0.1:{site.stack.ports.hub_api}/hub/api/users/{seat}/tokens"
        return str((await hub.post(url, json=body)).raise_for_status().json()["token"])
