"""A host application's site on the real stack: its pages, its tokens, and pages of others beside it.

site = Site.registered(stack)
async with site.served():
    await page.goto(site.url)
    await page.evaluate("([user, id]) => embed(user, id)", ["ada", notebook_id])
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from stack import Stack
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.support.hosts import TestHost, write_hosts_file
from tests.support.real_hub import ROOT, free_ports
from tests.support.serving import served

_HOST = """<!doctype html>
<title>Host</title>
<link rel="stylesheet" href="/sdk/inset-notebook.css">
<script type="module">
  import { embedNotebook } from '/sdk/inset-notebook.js';
  window.heard = [];
  addEventListener('message', ({ origin, data }) => heard.push({ origin, data }));
  window.embed = (user, notebookId, options = {}) => {
    const mountPoint = document.createElement('div');
    mountPoint.style = 'width: 1000px; height: 600px';
    document.body.append(mountPoint);
    const fetchToken = async () => (await fetch('/token?user=' + user)).text();
    // A frame is the notebook's: tests count them.
    const given = { mountPoint, serviceUrl: '%(service)s', notebookId, fetchToken, preview: false };
    const notebook = embedNotebook({ ...given, ...options });
    notebook.told = [];
    for (const event of ['ready', 'dirty', 'saved', 'saveFailed', 'ended', 'failed']) {
      notebook.on(event, (detail) => notebook.told.push({ event, ...detail }));
    }
    window.notebook = notebook;
    return notebook;
  };
  window.loaded = true;
</script>
"""


@dataclass
class Site:
    stack: Stack
    host: TestHost
    port: int
    pages: dict[str, str] = field(default_factory=dict)
    """Other pages, by path: what a test wants beside the host's own."""
    claims: dict[str, Any] = field(default_factory=dict)
    """Further claims of its users' tokens, as in `{"may": ["edit"]}`."""

    @classmethod
    def registered(cls, stack: Stack) -> "Site":
        """Choose a port, and register the site with the stack's service."""
        [port] = free_ports(1)
        host = TestHost(
            id="site",
            kid="site-1",
            signing_key="the site's own secret, of more than 32 characters",
            origins=(f"http://host.localhost:{port}",),
            audience=stack.service_url,
        )
        stack.inset("hosts", "apply", str(write_hosts_file(stack.folder / "site.toml", host)))
        return cls(stack, host, port)

    @property
    def url(self) -> str:
        return f"{self.origin('host')}/"

    def origin(self, name: str) -> str:
        """The same server by another name, which is another site to a browser."""
        return f"http://{name}.localhost:{self.port}"

    def client(self, user: str) -> httpx.AsyncClient:
        """The service, called by the host's backend for a user."""
        base = f"http://127.0.0.1:{self.stack.ports.service}"
        return httpx.AsyncClient(base_url=base, headers=self.host.backend_bearer(user), timeout=60, verify=False)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        routes = [
            Route("/", self._host),
            Route("/token", self._token),
            Mount("/sdk", StaticFiles(directory=ROOT / "frontend-snippet" / "dist")),
            Route("/outer", self._outer),
            Route("/inner", self._inner),
            Route("/pages/{name}", self._page),
        ]
        async with served(Starlette(routes=routes), self.port):
            yield

    async def _host(self, request: Request) -> HTMLResponse:
        return HTMLResponse(_HOST % {"service": self.stack.service_url})

    async def _token(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse(self.host.token(request.query_params["user"], **self.claims))

    async def _outer(self, request: Request) -> HTMLResponse:
        return HTMLResponse(f'<iframe src="{self.origin("other")}/inner"></iframe>')

    async def _inner(self, request: Request) -> HTMLResponse:
        """Shows which cookies came back to a frame of another site, and sets an ordinary one."""
        answer = HTMLResponse(f"<p>kept: {','.join(request.cookies)}</p>")
        answer.set_cookie("plain", "1", samesite="none", secure=True)
        return answer

    async def _page(self, request: Request) -> HTMLResponse:
        return HTMLResponse(self.pages[request.path_params["name"]])


def notebook(source: str = "") -> dict[str, Any]:
    """A document of one cell."""
    cell = {"cell_type": "code", "execution_count": None, "id": "one", "metadata": {}, "outputs": [], "source": source}
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
