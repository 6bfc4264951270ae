"""Through Inset, as the SDK calls it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from benchmarks.event_lines import events_of
from benchmarks.story.opening import NOTEBOOK, Opened, Watch
from benchmarks.story.parts import Inset

METRICS_TOKEN = "of-the-benchmarks-prometheus"  # noqa: S105  (of a service that runs for some minutes)
KERNEL_SECONDS = 8.0
"""After which a kernel that was started ahead is there, on a busy machine too."""


class EmbeddedClient:
    """A user's page: its calls to the service, and what the entry page and the frame do."""

    def __init__(self, inset: Inset, user: str) -> None:
        self._inset = inset
        headers = inset.host.bearer(user, exp=int(time.time()) + 3500)
        timeout = aiohttp.ClientTimeout(total=120)
        self._service = aiohttp.ClientSession(f"http://{inset.address}/", headers=headers, timeout=timeout)
        self._sessions: list[str] = []

    async def aclose(self) -> None:
        await self._service.close()

    async def store(self, name: str, content: dict[str, Any] = NOTEBOOK) -> str:
        """Store a notebook, long before it is opened. Gives its id."""
        async with self._service.post("v1/notebooks", json={"name": name, "content": content}) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["id"])

    async def open_notebook(self, notebook_id: str, watch: Watch) -> str:
        """Open a session and follow it until it is ready. Gives the signed URL."""
        async with self._service.post("v1/sessions", json={"notebook_id": notebook_id}) as answer:
            assert answer.status in (200, 202), await answer.text()
            session = (await answer.json())["id"]
        self._sessions.append(session)
        watch.at("accepted")
        await self._until(session, "ready", watch)
        watch.at("restored")
        url = await self.signed_url()
        watch.at("signed")
        return url

    async def signed_url(self) -> str:
        """Have the newest session's frame let in once more."""
        async with self._service.post(f"v1/sessions/{self._sessions[-1]}/iframe-url") as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["url"])

    async def enter(self, url: str) -> Opened:
        """Do what the entry page does: trade the ticket for a cookie."""
        parts = urlsplit(url)
        base = f"{self._inset.hub.bind_url}{parts.path.removesuffix('inset/enter')}"
        host = {"Host": parts.netloc, "Origin": f"http://{parts.netloc}"}
        jar = aiohttp.DummyCookieJar()
        ticket = parts.fragment.removeprefix("ticket=")
        async with (
            aiohttp.ClientSession(base, headers=host, cookie_jar=jar) as http,
            http.post("inset/enter", json={"ticket": ticket}) as answer,
        ):
            assert answer.status == 200, await answer.text()
            next = (await answer.json())["next"]
            lines = [line.replace("Partitioned", "Path=/") for line in answer.headers.getall("Set-Cookie")]
        cookies = {name: morsel.value for line in lines for name, morsel in SimpleCookie(line).items()}
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        return Opened(url, base, {**host, **sent, "X-XSRFToken": cookies["_xsrf"]}, next.partition("/notebooks/")[2])

    async def close(self) -> None:
        """Close all that was opened, and wait until it is over."""
        for session in self._sessions:
            async with self._service.delete(f"v1/sessions/{session}"):
                pass
        for session in self._sessions:
            await self._until(session, "ended", Watch())
        self._sessions.clear()

    async def events(self, session: str | None = None) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
        """Follow a session, the newest unless told, from its beginning to its end: each event's kind and data."""
        path, last = f"v1/sessions/{session or self._sessions[-1]}/events", "0"
        # A stream ends with its token or its replica, or is cut: followed anew from where it was, as by a page.
        while True:
            endless = aiohttp.ClientTimeout(total=None, sock_read=60)
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._service.get(path, headers={"Last-Event-ID": last}, timeout=endless) as stream:
                    assert stream.status == 200, await stream.text()
                    async for id, kind, told in events_of(stream):
                        last = id or last
                        yield kind, told
                        if kind in ("ended", "failed"):
                            return
            await asyncio.sleep(1)

    async def _until(self, session: str, wanted: str, watch: Watch) -> None:
        async with aclosing(self.events(session)) as events:
            async for kind, told in events:
                assert kind != "failed", told
                if told.get("state") == "loading":
                    watch.at("server")
                if kind == wanted:
                    return
        raise AssertionError(f"the stream ended before {wanted}")


async def seats_are_free(inset: Inset, seats: list[str]) -> None:
    """Wait until the servers of closed sessions are gone. Those that were started ahead stay."""
    async with inset.hub.api() as api:
        for seat in seats:
            while not _is_free((await api.get(f"/users/{seat}/servers/")).json()):
                await asyncio.sleep(0.2)


async def a_server_waits(inset: Inset) -> None:
    """Wait until a server that was started ahead runs, and its kernel, and what they have begun with is over."""
    headers, warm = {"Authorization": f"Bearer {METRICS_TOKEN}"}, 'inset_seats{hub="default",state="warm"} 1.0'
    async with aiohttp.ClientSession(f"http://{inset.address}/", headers=headers) as http:
        while True:
            async with http.get("metrics") as answer:
                if warm in await answer.text():
                    break
            await asyncio.sleep(0.5)
    await asyncio.sleep(KERNEL_SECONDS)


def _is_free(server: dict[str, Any]) -> bool:
    options = server["user_options"] or {}
    return bool(server["stopped"] or options.get("ahead"))
