"""A host's page with the built SDK, and as much of the service as the SDK calls, on one free port.

async with host_page(frame_urls=[...]) as host:
    await page.goto(host.url)
    await page.evaluate("notebook.ready")
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tornado import web
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets

from inset.preview.contents import read_contents
from inset.preview.page import whole_page
from inset.preview.rendering import render_body
from tests.support.real_hub import ROOT

SDK = ROOT / "frontend-snippet" / "dist"

PAGE = """<!doctype html>
<html lang="en">
<title>Host</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="/sdk/inset-notebook.css">
<style nonce="of-the-host">
  :root { color-scheme: light dark }
  body { margin: 8px; background: Canvas; color: CanvasText }
  #mount { width: min(1000px, 100%%); height: 650px }
</style>
<div id="mount"></div>
<script type="module" nonce="of-the-host">
  import { embedNotebook } from '/sdk/inset-notebook.js';
  const names = ['progress', 'preview', 'ready', 'dirty', 'saveState', 'saving', 'saved', 'saveFailed',
    'conflict', 'kernel', 'executed', 'selection', 'renamed', 'ending', 'ended', 'failed'];
  window.told = [];
  let asking = 0;
  window.notebook = embedNotebook({
    mountPoint: document.querySelector('#mount'),
    serviceUrl: location.origin,
    notebookId: 'n1',
    fetchToken: async () => {
      window.fetched = (window.fetched ?? 0) + 1;
      asking += 1;
      window.most = Math.max(window.most ?? 0, asking);
      await new Promise((answered) => setTimeout(answered, 10));
      asking -= 1;
      const now = Math.floor(Date.now() / 1000);
      const life = window.tokensLive;
      return life ? `a-token.${btoa(JSON.stringify({ iat: now, exp: now + life }))}.` : 'a-token';
    },
    timeouts: { frame: %(patience)d },
    nonce: 'of-the-host',
    ...%(options)s,
  });
  for (const name of names) notebook.on(name, (detail) => told.push({ event: name, ...detail }));
</script>
"""


@dataclass
class HostPage:
    port: int
    frame_urls: list[str]
    """What `iframe-url` answers, in turn; the last for ever."""
    patience: int
    minted: int = 0
    calls: list[str] = field(default_factory=list)
    streams: list["asyncio.Queue[str]"] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)
    """Other pages of the host, by path."""
    previews: list[str] = field(default_factory=list)
    """The notebook's current version as a static page, in turn; the last for ever. Without one there is none."""
    options: dict[str, Any] = field(default_factory=dict)
    """More options for `embedNotebook`."""
    policy: str = ""
    """The page's own Content-Security-Policy."""
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set if the server is up; a test that clears it lets the session wait for that."""
    problem: tuple[int, str, str] | None = None
    """The status, slug and detail that opening a session is refused with."""
    frames: dict[str, str] = field(default_factory=dict)
    """Pages by path, for frames that are no Jupyter."""

    @property
    def origin(self) -> str:
        return f"http://host.localhost:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/"

    @property
    def frame_origin(self) -> str:
        """The same server by a name that is another site to the browser."""
        return f"http://frame.localhost:{self.port}"

    def tell(self, event: str, **data: Any) -> None:
        """Send an event to every open stream."""
        for stream in self.streams:
            stream.put_nowait(f"id: 99\nevent: {event}\ndata: {json.dumps(data)}\n\n")

    def next_frame_url(self) -> str:
        url = self.frame_urls[min(self.minted, len(self.frame_urls) - 1)]
        self.minted += 1
        return url


@asynccontextmanager
async def host_page(
    *, frame_urls: list[str] | None = None, patience: int = 45_000, port: int = 0
) -> AsyncIterator[HostPage]:
    sockets = bind_sockets(port, "127.0.0.1")
    host = HostPage(sockets[0].getsockname()[1], frame_urls or [], patience)
    host.started.set()
    routes: list[Any] = [
        (r"/", _Page, {"host": host}),
        (r"/sdk/(.*)", web.StaticFileHandler, {"path": str(SDK)}),
        (r"/v1/notebooks/n1/preview", _Preview, {"host": host}),
        (r"/v1/sessions", _Sessions, {"host": host}),
        (r"/v1/sessions/s1", _Sessions, {"host": host}),
        (r"/v1/sessions/s1/events", _Events, {"host": host}),
        (r"/v1/sessions/s1/iframe-url", _FrameUrl, {"host": host}),
        (r"/frames/(.*)", _Frame, {"host": host}),
        (r"/pages/(.*)", _OtherPage, {"host": host}),
        (r"/token", _Token, {"host": host}),
    ]
    server = HTTPServer(web.Application(routes, log_function=lambda handler: None))
    server.add_sockets(sockets)
    try:
        yield host
    finally:
        host.started.set()
        server.stop()
        await server.close_all_connections()


def saved_version(sources: list[str]) -> str:
    """The static page that the service makes of a notebook of these cells."""
    return static_page(
        [{"cell_type": "code", "source": source, "execution_count": 1, "outputs": []} for source in sources]
    )


def static_page(cells: list[dict[str, Any]]) -> str:
    """The page that the service makes of cells as nbformat has them."""
    return whole_page(render_body(read_contents(json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}).encode())))


class _Handler(web.RequestHandler):
    def initialize(self, host: HostPage) -> None:
        self.host = host

    def prepare(self) -> None:
        self.host.calls.append(f"{self.request.method} {self.request.path}")


class _Page(_Handler):
    def get(self) -> None:
        if self.host.policy:
            self.set_header("Content-Security-Policy", self.host.policy)
        self.finish(PAGE % {"patience": self.host.patience, "options": json.dumps(self.host.options)})


class _Frame(_Handler):
    def get(self, path: str) -> None:
        self.finish(self.host.frames[path])


class _OtherPage(_Handler):
    def get(self, path: str) -> None:
        self.finish(self.host.pages[path])


class _Token(_Handler):
    def post(self) -> None:
        self.finish("a-token")


class _Preview(_Handler):
    def get(self) -> None:
        assert self.request.headers["Authorization"].startswith("Bearer a-token")
        if not self.host.previews:
            self.set_status(404)
            return
        page = self.host.previews.pop(0) if len(self.host.previews) > 1 else self.host.previews[0]
        self.finish(page)


class _Sessions(_Handler):
    def post(self) -> None:
        assert self.request.headers["Authorization"].startswith("Bearer a-token")
        if self.host.problem:
            status, slug, detail = self.host.problem
            self.set_status(status)
            self.finish({"type": f"urn:inset:problem:{slug}", "title": slug, "detail": detail, "status": status})
            return
        self._answer("ready")

    def delete(self) -> None:
        self.host.tell("ending", reason="closed")
        self.host.tell("ended", reason="closed")
        self._answer("ending")

    def _answer(self, state: str) -> None:
        self.set_status(202)
        progress = {"percent": 100, "message": ""}
        self.finish({"id": "s1", "state": state, "progress": progress, "embeddable": True, "version": 1})


class _Events(_Handler):
    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        stream: asyncio.Queue[str] = asyncio.Queue()
        self.host.streams.append(stream)
        self.write('id: 1\nevent: progress\ndata: {"percent": 40, "message": "Starting", "state": "starting"}\n\n')
        await self.flush()
        await self.host.started.wait()
        self.write('id: 2\nevent: ready\ndata: {"embeddable": true, "version": 1}\n\n')
        try:
            while True:
                await self.flush()
                self.write(await stream.get())
        except StreamClosedError:
            pass

    def on_connection_close(self) -> None:
        # Wakes the handler, whose next write finds the connection closed.
        for stream in self.host.streams:
            stream.put_nowait(": bye\n\n")


class _FrameUrl(_Handler):
    def post(self) -> None:
        self.set_status(201)
        self.finish({"url": self.host.next_frame_url(), "expires_at": "2100-01-01T00:00:00Z"})
