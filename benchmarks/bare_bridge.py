"""A server's save bridge with no Jupyter under it: the bridge's own code, files that change, and its page around it."""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

from inset_bridge.activity import Activity
from inset_bridge.control import Control
from inset_bridge.credentials import Credentials
from inset_bridge.entries import Entries
from inset_bridge.files import Files
from inset_bridge.frames import Frames
from inset_bridge.journal import Document, Journal
from inset_bridge.origins import Origins
from inset_bridge.sender import Sender
from inset_bridge.service import Service
from inset_bridge.sockets import Sockets
from tests.faults.ledger import Ledger, exact
from tests.service.conftest import document

_PATH = "work/N.ipynb"
_STREAMS = ("/bridge/v1/control", "/events")
log = logging.getLogger(__name__)


@dataclass
class Times:
    """How long what was asked took, seconds by method and kind of path, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


class AnyReplica(httpx.AsyncBaseTransport):
    """Sends request after request to the replicas in turn, as a balancer does, and notes how long each took."""

    def __init__(self, urls: list[str], times: Times, *, limits: httpx.Limits) -> None:
        self._urls = [httpx.URL(url) for url in urls]
        self._turn = random.randrange(len(urls))
        self._times = times
        self._real = httpx.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._turn = (self._turn + 1) % len(self._urls)
        at, path = self._urls[self._turn], request.url.path
        request.url = request.url.copy_with(host=at.host, port=at.port)
        kind = f"{request.method} {'/'.join('{id}' if len(part) > 20 else part for part in path.split('/'))}"
        began = time.perf_counter()
        try:
            answer = await self._real.handle_async_request(request)
            if not path.endswith(_STREAMS):
                await answer.aread()
        except httpx.TransportError as exc:
            self._times.errors.append(f"{kind}: {type(exc).__name__}")
            raise
        self._times.seconds.setdefault(kind, []).append(time.perf_counter() - began)
        if answer.status_code >= 400:
            self._times.errors.append(f"{kind}: {answer.status_code}")
        return answer

    async def aclose(self) -> None:
        await self._real.aclose()


class BareBridge:
    """One server: everything of the bridge that asks the service, put together as its application does it."""

    def __init__(
        self,
        folder: Path,
        urls: list[str],
        times: Times,
        *,
        server_id: str,
        hub_token: str,
        notebook: Mapping[str, Any],
    ) -> None:
        # As in the application: a connection that idles longer may just be closed when it is used again.
        transport = AnyReplica(urls, times, limits=httpx.Limits(keepalive_expiry=2))
        self._http = httpx.AsyncClient(base_url=urls[0], timeout=30, transport=transport)
        service = Service(self._http, hub_token=hub_token, server_id=server_id)
        self._journal, self._files = Journal(folder / ".inset" / "journal.json", log=log), Files(folder)
        self._document = Document(_PATH, notebook["id"], version=notebook["version"], sha256=notebook["sha256"])
        self._document.sent = notebook["sha256"]
        self._journal.add(self._document)
        self._sender = Sender(service, self._journal, self._files, log=log)
        credentials = Credentials(service, folder / "credentials", self._journal, log=log)
        no_sessions: Any = None
        frames = Frames(Entries(), Sockets(), self._journal, no_sessions)
        self._control = Control(service, frames, Origins((), own=""), credentials, log=log)
        self._activity, self._service = Activity(), service
        self.ledger = Ledger(
            {(notebook["id"], notebook["version"]): notebook["sha256"]}, {notebook["id"]: {notebook["sha256"]}}
        )
        self.stored: list[float] = []
        """Seconds from a file's change until the service had acknowledged it."""

    async def run(self) -> None:
        """Follow, send and tell for ever."""
        nobody: Any = SimpleNamespace(
            kernel_manager=SimpleNamespace(list_kernel_ids=list), web_app=SimpleNamespace(settings={})
        )
        try:
            async with asyncio.TaskGroup() as at_once:
                at_once.create_task(self._sender.run())
                at_once.create_task(self._control.run())
                at_once.create_task(self._activity.run(self._service, nobody, log=log))
        finally:
            await self._http.aclose()

    async def save(self, text: str) -> None:
        """Have Jupyter write the file, which here means: write it; and wait until the service has it."""
        content = exact(document(*(f"{text}: cell {number}" for number in range(20))))
        digest, before = hashlib.sha256(content).hexdigest(), self._document.version
        self.ledger.sent[self._document.notebook_id].add(digest)
        self._activity.requested("PUT", f"api/contents/{_PATH}")
        began = time.perf_counter()
        self._files.write(_PATH, content)
        self._document.saved = True
        self._document.saves += 1
        self._journal.write()
        self._sender.wake()
        async with asyncio.timeout(120):
            while self._document.saved:
                await asyncio.sleep(0.02)
        self.stored.append(time.perf_counter() - began)
        assert self._document.version == before + 1, "a save made no version, or two"
        self.ledger.acknowledged[self._document.notebook_id, self._document.version] = digest
