"""What stands before every route: which pages may call, how much they may send, and what an accident looks like."""

import asyncio
import contextlib
import logging
import time

from sqlmodel import select
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inset.db import Database
from inset.errors import InternalError, NotebookTooLarge
from inset.models import Host
from inset.problems import problem_response

log = logging.getLogger(__name__)

_ORIGINS_FRESH_SECONDS = 5.0
_VARIES = (b"vary", b"Origin")
_ENVELOPE = 64 * 1024
"""What a JSON request may have around the notebook it carries."""


class HostOrigins(CORSMiddleware):
    """Lets the pages of registered host applications read answers, and nobody else's.

    A preflight carries no token, so here any registered origin will do. That it is the caller's own is checked
    with the token.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            app,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-Match",
                "If-None-Match",
                "Last-Event-ID",
                "traceparent",
                "X-Request-Id",
            ],
            expose_headers=["Date", "ETag", "Location", "Retry-After", "X-Request-Id"],
            max_age=600,
        )
        self._origins: frozenset[str] = frozenset()
        self._read_at = -_ORIGINS_FRESH_SECONDS
        self._reading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if any(name == b"origin" for name, _ in scope["headers"]):
            await self._refresh(scope["state"]["database"])
            return await super().__call__(scope, receive, send)

        async def varied(message: Message) -> None:
            # All that Starlette has to say to who is no page, said in less time.
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), _VARIES]
            await send(message)

        await self.app(scope, receive, varied)

    def is_allowed_origin(self, origin: str) -> bool:
        """Tell whether some host application has registered this origin."""
        return origin in self._origins

    async def _refresh(self, database: Database) -> None:
        async with self._reading:
            if time.monotonic() - self._read_at < _ORIGINS_FRESH_SECONDS:
                return
            async with database.transaction(read_only=True) as db:
                self._origins = frozenset(
                    origin for origins in await db.exec(select(Host.origins)) for origin in origins
                )
            self._read_at = time.monotonic()


_ANNOUNCE = (b"content-length", b"transfer-encoding")


class _BodyTooLarge(Exception):
    pass


class BodyLimit:
    """Refuses a body that is too large: by its announced length before reading any, else as soon as it is."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # By its headers a request over HTTP/1.1, as uvicorn speaks it, says whether it has a body.
        announced = next((value for name, value in scope.get("headers", ()) if name in _ANNOUNCE), None)
        if scope["type"] != "http" or announced is None:
            return await self._app(scope, receive, send)
        most = self._limit + _ENVELOPE
        if announced.isdigit() and int(announced) > most:
            return await self._refuse(scope, receive, send)
        read, exceeded, started = 0, False, False

        async def counted() -> Message:
            nonlocal read, exceeded
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                exceeded = True
                raise _BodyTooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            # Frameworks turn what goes wrong while they read a body into an answer of their own; ours is the true one.
            if not exceeded:
                started = True
                await send(message)

        with contextlib.suppress(_BodyTooLarge):
            await self._app(scope, counted, watched)
        if exceeded and not started:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        await problem_response(NotebookTooLarge(self._limit))(scope, receive, send)


class Unforeseen:
    """Turns an exception that nobody foresaw into a problem, within the reach of CORS, so that a page can read it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            log.exception("%s %s: unforeseen", scope["method"], scope["path"])
            await problem_response(InternalError())(scope, receive, send)
