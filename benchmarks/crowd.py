"""Users with one session each, opened over the API and followed by an event stream from its beginning to its end."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp

from benchmarks.event_lines import events_of
from tests.support.hosts import TestHost

_PATIENCE = 600
"""Seconds that any one call, or a session's way to ready, may take before it counts as an error."""


class Member:
    """A user with a notebook, and in time with a session. Any answer but a success ends what it is asked for."""

    def __init__(self, crowd: "Crowd", name: str) -> None:
        self.name = name
        self.notebook = self.session = ""
        self.told: list[str] = []
        """The kinds of all events of its session, one after the other."""
        self.sha256 = ""
        """Of the notebook's last version."""
        self._version = 1
        self._crowd = crowd
        self._headers = crowd.host.bearer(name, exp=int(time.time()) + 3500)
        self._ready: asyncio.Future[None]
        self._followed: asyncio.Task[None]

    async def call(self, method: str, path: str, **call: Any) -> dict[str, Any]:
        """Call one replica, and the other one next."""
        headers = {**self._headers, **call.pop("headers", {})}
        async with self._crowd.http.request(method, self._crowd.next_url() + path, headers=headers, **call) as answer:
            if not answer.ok:
                raise AssertionError(f"{method} {path}: {answer.status} {await answer.text()}")
            told: dict[str, Any] = await answer.json()
            return told

    async def make_notebook(self) -> Self:
        made = await self.call("POST", "/v1/notebooks", json={"name": "N"})
        self.notebook, self._version, self.sha256 = made["id"], made["version"], made["sha256"]
        return self

    async def save(self, content: bytes) -> int:
        """Store the notebook's next version; gives its number."""
        based = {"If-Match": f'"{self._version}"'}
        stored = await self.call("PUT", f"/v1/notebooks/{self.notebook}/content", headers=based, data=content)
        self._version, self.sha256 = stored["version"], stored["sha256"]
        return self._version

    async def open(self) -> float:
        """Open a session of the notebook; gives the seconds until its stream told that it is ready."""
        began = time.perf_counter()
        self.session = (await self.call("POST", "/v1/sessions", json={"notebook_id": self.notebook}))["id"]
        self._ready = asyncio.get_running_loop().create_future()
        self._followed = asyncio.create_task(self._follow())
        async with asyncio.timeout(_PATIENCE):
            await asyncio.wait([self._ready, self._followed], return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            await self._followed
        return time.perf_counter() - began

    async def close(self) -> None:
        """Close the session, and wait until it is over."""
        await self.call("DELETE", f"/v1/sessions/{self.session}")
        async with asyncio.timeout(_PATIENCE):
            await self._followed

    def check(self) -> None:
        """Raise if its session has ended, or is followed no longer."""
        if self._followed.done():
            self._followed.result()
            raise AssertionError(f"session {self.session} has ended by itself")

    def leave(self) -> None:
        """Follow no longer."""
        self._followed.cancel()

    async def _follow(self) -> None:
        url = f"{self._crowd.next_url()}/v1/sessions/{self.session}/events"
        endless = aiohttp.ClientTimeout(total=None, sock_read=120)
        async with self._crowd.http.get(url, headers=self._headers, timeout=endless) as stream:
            assert stream.status == 200, await stream.text()
            async for _, kind, told in events_of(stream):
                self.told.append(kind)
                if kind == "ready":
                    self._ready.set_result(None)
                elif kind == "ended":
                    return
                elif kind == "failed":
                    raise AssertionError(f"session {self.session} failed: {told}")
        raise AssertionError(f"the event stream of session {self.session} was cut")


class Crowd:
    """All users of one deployment, as clients of two replicas by turns."""

    def __init__(self, http: aiohttp.ClientSession, urls: Sequence[str], host: TestHost) -> None:
        self.http = http
        self.host = host
        self.members: list[Member] = []
        """Those whose sessions stay open."""
        self._urls = itertools.cycle(urls)
        self._numbers = itertools.count()

    def next_url(self) -> str:
        return next(self._urls)

    async def newcomer(self) -> Member:
        """Give a user who has a notebook and no session yet."""
        return await Member(self, f"user-{next(self._numbers)}").make_notebook()

    async def grow(self, size: int, *, at_once: int) -> list[float]:
        """Have so many sessions open, of which so many are being opened at once; gives the seconds each took."""
        turn = asyncio.Semaphore(at_once)

        async def one() -> float:
            async with turn:
                member = await self.newcomer()
                seconds = await member.open()
                self.members.append(member)
                return seconds

        return await _all(one() for _ in range(len(self.members), size))

    async def close(self, *, at_once: int) -> None:
        """Close all of them."""
        turn = asyncio.Semaphore(at_once)

        async def one(member: Member) -> None:
            async with turn:
                await member.close()

        self.check()
        await _all(one(member) for member in self.members)
        self.members.clear()

    def check(self) -> None:
        """Raise unless all sessions are open and followed."""
        for member in self.members:
            member.check()

    def leave(self) -> None:
        """Follow none any longer."""
        for member in self.members:
            member.leave()


@asynccontextmanager
async def crowd(urls: Sequence[str], host: TestHost) -> AsyncIterator[Crowd]:
    """Have somebody come; nobody is left when the block is."""
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http:
        come = Crowd(http, urls, host)
        try:
            yield come
        finally:
            come.leave()


async def _all(work: Iterable[Any]) -> list[Any]:
    async with asyncio.TaskGroup() as at_once:
        tasks = [at_once.create_task(each) for each in work]
    return [task.result() for task in tasks]
