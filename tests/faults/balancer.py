"""A balancer as small as can be: it asks replicas whether they are ready, and hands each request to one that is."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.support.serving import served

_ASKS_EVERY = 0.2
_HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


class Balancer:
    """Nothing sticky: request after request goes round."""

    def __init__(self, urls: Sequence[str], http: httpx.AsyncClient) -> None:
        self._urls = urls
        self._http = http
        self._turn = itertools.count()
        self._ready = list(urls)
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        self.app = Starlette(routes=[Route("/{path:path}", self._hand_on, methods=methods)])

    async def watch(self) -> None:
        """Ask the replicas again and again, as a balancer's health checks do."""
        while True:
            ready = await asyncio.gather(*map(self._is_ready, self._urls))
            self._ready = [url for url, is_ready in zip(self._urls, ready, strict=True) if is_ready]
            await asyncio.sleep(_ASKS_EVERY)

    async def until_ready(self, url: str) -> None:
        """Wait until requests go to a replica."""
        async with asyncio.timeout(60):
            while url not in self._ready:
                await asyncio.sleep(0.05)

    async def _is_ready(self, url: str) -> bool:
        try:
            return (await self._http.get(f"{url}/readyz?ignore=hub", timeout=20)).status_code == 200
        except httpx.TransportError:
            return False

    async def _hand_on(self, request: Request) -> Response:
        if not self._ready:
            return Response(status_code=502)
        url = self._ready[next(self._turn) % len(self._ready)] + request.url.path
        headers = [(name, value) for name, value in request.headers.items() if name not in _HOP_BY_HOP]
        call = self._http.build_request(
            request.method, url, params=request.query_params, headers=headers, content=await request.body()
        )
        try:
            answer = await self._http.send(call, stream=True)
        except httpx.TransportError:
            return Response(status_code=502)
        told = {name: value for name, value in answer.headers.items() if name not in _HOP_BY_HOP}
        return StreamingResponse(_passed(answer), answer.status_code, told)


async def _passed(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()


@asynccontextmanager
async def balanced(urls: Sequence[str]) -> AsyncIterator[tuple[str, Balancer]]:
    """Serve a balancer before these replicas; gives its address too."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=60, limits=limits) as http:
        balancer = Balancer(urls, http)
        watching = asyncio.create_task(balancer.watch())
        try:
            async with served(balancer.app) as url:
                yield url, balancer
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
