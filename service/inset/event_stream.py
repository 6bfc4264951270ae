"""A stream of server-sent events, of which a thousand may be open and idle.

FastAPI's own has six tasks for each stream, which take more memory than all else of it; this one has two.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import Response
from fastapi.encoders import jsonable_encoder
from fastapi.sse import KEEPALIVE_COMMENT, ServerSentEvent, format_sse_event
from starlette.types import Receive, Scope, Send

_ALIVE_SECONDS = 15
"""After so many without an event there is a comment, so that nobody on the way takes the stream for dead."""

_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Nobody on the way may keep it, or wait for more of it: nginx would."""


class _Gone(Exception):
    """Nobody listens any more."""


class EventStream(Response):
    """Sends events as they come, until there are no more or nobody listens."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[ServerSentEvent]) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with asyncio.TaskGroup() as tasks, aclosing(self._events):  # type: ignore[type-var]
                watching = tasks.create_task(_watch(receive, send))
                async for event in self._events:
                    await send(_part(_written(event)))
                watching.cancel()
        except* _Gone:
            pass
        else:
            await send({"type": "http.response.body", "body": b""})


async def _watch(receive: Receive, send: Send) -> None:
    """Show signs of life until nobody listens. Raises `_Gone` then."""
    while True:
        try:
            async with asyncio.timeout(_ALIVE_SECONDS):
                message = await receive()
        except TimeoutError:
            await send(_part(KEEPALIVE_COMMENT))
        else:
            if message["type"] == "http.disconnect":
                raise _Gone


def _written(event: ServerSentEvent) -> bytes:
    data = json.dumps(jsonable_encoder(event.data))
    return format_sse_event(data_str=data, event=event.event, id=event.id)


def _part(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}
