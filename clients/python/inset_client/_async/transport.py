"""Sends calls in one caller's name, again where that is safe."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from inset_client._async.waiting import chunks, sleep
from inset_client.models import Page
from inset_client.operations import Operation
from inset_client.retries import Retries
from inset_client.tokens import Token
from inset_client.wire import Call, answer_of, failure_of, request_of

Answered = TypeVar("Answered")
Item = TypeVar("Item")


class AsyncTransport:
    """One caller's way to the service."""

    def __init__(self, http: httpx.AsyncClient, token: Token, retries: Retries) -> None:
        self._http = http
        self._token = token
        self.retries = retries

    async def ask(self, operation: Operation[Answered], call: Call) -> Answered:
        """Send a call and read its answer. Raises a `Problem`, or `Unreachable`."""
        return answer_of(operation, await self.send(operation, call))

    async def items(self, operation: Operation[Page[Item]], call: Call) -> AsyncIterator[Item]:
        """Give a list's items, page after page, each fetched when it is wanted."""
        query = dict(call.query)
        while True:
            page = await self.ask(operation, Call(path=call.path, query=query))
            for item in page.items:
                yield item
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    async def send(self, operation: Operation[Any], call: Call, *, stream: bool = False) -> httpx.Response:
        """Send a call and give the answer as it came; with `stream`, before its body. Raises as `ask` does."""
        request, attempt = request_of(operation, call), 1
        while True:
            try:
                answer = await self._http.send(self._signed(request, call), stream=stream)
                if answer.is_success:
                    return answer
                await answer.aread()
                outcome: httpx.Response | httpx.TransportError = answer
            except httpx.TransportError as exc:
                outcome = exc
            wait = self.retries.after(attempt, operation, outcome)
            if wait is None:
                raise failure_of(operation, outcome) from (outcome if isinstance(outcome, Exception) else None)
            await sleep(wait)
            attempt += 1

    @asynccontextmanager
    async def stream(self, operation: Operation[Any], call: Call) -> AsyncIterator[httpx.Response]:
        """Open an answer whose body is read as it comes."""
        answer = await self.send(operation, call, stream=True)
        try:
            yield answer
        finally:
            await answer.aclose()

    def _signed(self, request: dict[str, Any], call: Call) -> httpx.Request:
        """Write the request anew for each try: its token may have become old, and a file is read from its beginning."""
        content = chunks(call.body) if isinstance(call.body, Path) else request["content"]
        built = self._http.build_request(**{**request, "content": content})
        if call.read_timeout is not None:
            built.extensions["timeout"]["read"] = call.read_timeout
        built.headers["Authorization"] = f"Bearer {self._token}"
        return built
