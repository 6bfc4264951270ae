"""What hostile notebooks do to whoever looks at their previews in a real browser: nothing."""

import json
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from playwright.async_api import Page

from inset.db import open_database
from inset.documents import document_from_jupyter
from inset.models import Notebook
from inset.settings import Settings
from inset.versions import store
from tests.browsers.driven import firefox
from tests.security.hostile.notebooks import HTML, hostile_notebooks
from tests.support.chromium import chromium_page
from tests.support.real_hub import free_ports
from tests.support.serving import served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ICON = "favicon.ico"
"""What browsers ask every site for."""

SENTINEL = "sentinel"
"""What runs for certain, last of all: when it has been seen, whatever was to be seen before has been."""


@dataclass
class Site:
    """A host's site that shows previews in every way, and the attackers' address."""

    url: str
    answers: dict[str, httpx.Response] = field(default_factory=dict)
    """The service's answer for each hostile notebook."""
    pages: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    """The attacks that have asked for their address."""

    @property
    def evil(self) -> str:
        return f"{self.url}/evil"

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/evil/{name:path}")
        async def evil(name: str) -> Response:
            self.asked.add(name.split("/")[0])
            return Response()

        @app.get("/served/{name}")
        async def served_with_headers(name: str) -> Response:
            answer = self.answers[name]
            return Response(answer.content, headers=dict(answer.headers))

        @app.get("/{path:path}")
        async def page(path: str) -> Response:
            if path not in self.pages:
                self.asked.add(path)
                return Response(status_code=404)
            return HTMLResponse(self.pages[path])

        return app

    def frames(self, name: str, pages: dict[str, str], sandbox: str = "") -> str:
        """Make a page that holds other pages in frames, by `srcdoc`, and the sentinel after them; gives its address."""
        frames = [f'<iframe {sandbox} srcdoc="{escape(page)}"></iframe>' for page in pages.values()]
        self.pages[name] = (
            "<!doctype html><meta charset=utf-8><script>window.ran = []</script>"
            + "".join(frames)
            + f"<script>onload = () => {{ console.log('canary {SENTINEL}'); ran.push('{SENTINEL}');"
            f" new Image().src = '{self.evil}/{SENTINEL}' }}</script>"
        )
        return f"{self.url}/{name}"


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def answers() -> dict[str, httpx.Response]:
    """What the service has answered for each hostile notebook: the first test asks."""
    return {}


@pytest.fixture
async def site(client, new_notebook, settings, port: int, answers: dict[str, httpx.Response]) -> AsyncIterator[Site]:
    site = Site(f"http://localhost:{port}", answers)
    if not answers:
        id = (await new_notebook())["id"]
        hostile = hostile_notebooks(site.evil)
        await _store(settings, id, hostile)
        for number, name in enumerate(hostile, 2):
            answer = await client.get(f"/v1/notebooks/{id}/versions/{number}/preview")
            assert answer.status_code == 200, (name, answer.text)
            answers[name] = answer
    async with served(site.app(), port):
        yield site


async def _store(settings: Settings, id: str, hostile: dict[str, Any]) -> None:
    """Make each a version, as if Jupyter had saved it: no upload could be all of this."""
    async with open_database(settings.database_url) as database:
        for base, content in enumerate(hostile.values(), 1):
            async with database.transaction() as db:
                row = await db.get(Notebook, id)
                assert row is not None
                document = document_from_jupyter(json.dumps(content).encode())
                await store(db, row, document, base=base, origin="autosave", author="ada")


@dataclass
class Watched:
    """A page of Chromium, and what happens in it that must not."""

    page: Page
    site: Site
    ran: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        context = self.page.context
        context.on("console", lambda said: self.ran.update(re.findall(r"canary ([\w-]+)", said.text)))
        context.on("dialog", lambda dialog: self.ran.add(dialog.message))
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("page", lambda page: self.opened.append(page.url))

    async def until_the_sentinel(self) -> None:
        while SENTINEL not in self.ran or SENTINEL not in self.site.asked:
            await self.page.wait_for_timeout(50)

    def requests(self) -> list[str]:
        """What was asked for besides the pages themselves."""
        own = {*self.site.pages, *(f"served/{name}" for name in self.site.answers), f"evil/{SENTINEL}", ICON}
        addresses = {f"{self.site.url}/{path}" for path in own}
        return [url for url in self.asked if url not in addresses and not url.startswith(("data:image/", "about:"))]


@pytest.fixture
async def watched(site: Site) -> AsyncIterator[Watched]:
    async with chromium_page() as page:
        yield Watched(page, site)


def _pages(site: Site) -> dict[str, str]:
    return {name: answer.text for name, answer in site.answers.items()}


def _without_policy(pages: dict[str, str]) -> dict[str, str]:
    bare = {name: re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page) for name, page in pages.items()}
    assert all("Content-Security-Policy" not in page.partition("<body>")[0] for page in bare.values())
    return bare


@pytest.mark.parametrize("way", ["sandboxed", "in the host's own origin", "without any policy"])
async def test_in_a_frame_no_hostile_notebook_runs_asks_or_leads_anywhere(site: Site, watched: Watched, way: str):
    pages = _without_policy(_pages(site)) if way == "without any policy" else _pages(site)
    sandbox = 'sandbox="allow-popups allow-popups-to-escape-sandbox"' if way == "sandboxed" else ""
    address = site.frames("all", pages, sandbox)

    await watched.page.goto(address)
    await watched.until_the_sentinel()

    assert watched.ran == {SENTINEL}
    assert site.asked - {ICON} == {SENTINEL}
    assert watched.requests() == []
    assert watched.opened == []
    assert watched.page.url == address
    assert [frame.url for frame in watched.page.frames[1:]] == ["about:srcdoc"] * len(pages)


async def test_served_by_itself_no_hostile_notebook_runs_asks_or_leads_anywhere(site: Site, watched: Watched):
    for name in site.answers:
        await watched.page.goto(f"{site.url}/served/{name}")
        assert watched.page.url == f"{site.url}/served/{name}"
    await watched.page.goto(site.frames("none", {}))
    await watched.until_the_sentinel()

    assert watched.ran == {SENTINEL}
    assert watched.requests() == []


async def test_whatever_is_clicked_or_touched_runs_nothing(site: Site, watched: Watched):
    """Without any policy, so that it is the sanitiser that is shown; links that stay are followed elsewhere."""
    await watched.page.goto(site.frames("all", _without_policy(_pages(site))))
    await watched.until_the_sentinel()

    hrefs = await watched.page.evaluate(
        """() => {
          const hrefs = [];
          for (const frame of document.querySelectorAll('iframe')) {
            for (const element of frame.contentDocument.body.querySelectorAll('*')) {
              for (const kind of ['mouseover', 'focus', 'pointerdown', 'keydown', 'error', 'load', 'toggle'])
                element.dispatchEvent(new Event(kind, { bubbles: true }));
              if (element.localName === 'a' && element.hasAttribute('href')) {
                hrefs.push(element.href);
                // Where it would lead does not matter here, only whether something runs on the way.
                if (['http:', 'https:', 'mailto:'].includes(element.protocol)) continue;
              }
              element.click();
            }
          }
          return hrefs;
        }"""
    )
    await watched.page.evaluate("console.log('canary clicked')")
    while "clicked" not in watched.ran:
        await watched.page.wait_for_timeout(50)

    assert watched.ran == {SENTINEL, "clicked"}
    assert site.asked - {ICON} == {SENTINEL}
    assert hrefs
    assert [href for href in hrefs if not href.startswith(("http://", "https://", "mailto:"))] == []


async def test_a_link_opens_a_tab_that_knows_nothing_of_the_page(site: Site, watched: Watched):
    page = site.answers["link-target"].text
    await watched.page.context.route(
        "https://a.example/**", lambda route: route.fulfill(body="<p>there", content_type="text/html")
    )
    address = site.frames("one", {"link-target": page}, 'sandbox="allow-popups allow-popups-to-escape-sandbox"')
    await watched.page.goto(address)

    async with watched.page.context.expect_page() as opening:
        await watched.page.frame_locator("iframe").get_by_role("link").first.click()
    tab = await opening.value
    await tab.get_by_text("there").wait_for()

    assert await tab.evaluate("[opener, document.referrer, origin]") == [None, "", "https://a.example"]
    assert watched.page.url == address


async def test_without_the_sanitiser_the_same_notebooks_do_run_and_ask(site: Site, watched: Watched):
    """The control: a check that nothing happens is worth something only if it sees what happens."""
    raw = {
        name: content["cells"][0]["source"] for name, content in hostile_notebooks(site.evil).items() if name in HTML
    }
    frames = {name: f"<!doctype html><body>{html}" for name, html in raw.items() if not name.startswith("meta-refresh")}
    await watched.page.goto(site.frames("unsafe", frames))
    await watched.until_the_sentinel()

    assert len(watched.ran) > 15, watched.ran
    assert len(site.asked) > 30, site.asked
    assert {"script", "onerror", "svg-script", "srcdoc", "ontoggle"} <= watched.ran
    assert {"style-import", "style-attribute", "remote-image", "iframe", "link-stylesheet"} <= site.asked


async def test_in_the_page_there_are_only_elements_and_attributes_that_are_known(site: Site):
    for name, answer in site.answers.items():
        body = answer.text.partition("<body>")[2].partition("</body>\n</html>")[0]
        reader = _Reader(body)
        assert not reader.elements & FORBIDDEN, name
        assert reader.attributes <= KNOWN_ATTRIBUTES, (name, reader.attributes - KNOWN_ATTRIBUTES)


FORBIDDEN = {
    "script", "style", "link", "meta", "base", "iframe", "object", "embed", "form", "input", "button", "svg", "math",
    "template", "noscript", "video", "audio", "source", "picture", "map", "area", "title", "textarea", "select",
}  # fmt: skip
KNOWN_ATTRIBUTES = {
    "class", "href", "target", "rel", "title", "src", "alt", "width", "height", "colspan", "rowspan", "align", "scope",
    "open", "start", "span",
}  # fmt: skip


class _Reader(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.skipif(shutil.which("firefox-esr") is None, reason="there is no Firefox")
@pytest.mark.parametrize("way", ["sandboxed", "without any policy"])
async def test_in_firefox_no_hostile_notebook_runs_or_asks(site: Site, tmp_path: Path, way: str):
    pages = _without_policy(_pages(site)) if way == "without any policy" else _pages(site)
    address = site.frames("all", pages, "" if way == "without any policy" else "sandbox")
    async with firefox(tmp_path, {}) as browser:
        await browser.go(address)
        ran: Any = await browser.call("() => ran")
        here = await browser.call("() => location.href")

        # What is loaded late has been asked for before this, which is asked for last.
        await browser.call("() => fetch('/evil/last').then(() => null)")

    assert ran == [SENTINEL]
    assert here == address
    assert site.asked - {ICON} == {SENTINEL, "last"}
