"""What is noted of each request: its id, how long it took, what it was answered, and which trace it belongs to."""

import logging
import re
import time
from functools import lru_cache
from os import urandom

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inset.acting import Acting, acting_as
from inset.metrics import REQUEST_SECONDS, REQUESTS
from inset.traces import Tracer, accepted_traceparent

log = logging.getLogger(__name__)

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_QUIET = ("/healthz", "/readyz", "/metrics", "/edge/check")
"""What machines ask all the time. Logged only where it went wrong."""
_LEFT = 499
"""The status, by an old custom, of a request whose caller did not wait for the answer."""


class Observed:
    """Gives each request an id, which the answer, problems and the log carry, and counts it by its route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        sent = dict(scope["headers"])
        present = Acting(
            request_id=_request_id(sent.get(b"x-request-id", b"")),
            traceparent=accepted_traceparent(sent.get(b"traceparent", b"")),
        )
        answer = _Answer(send, present.request_id or "")
        tracer: Tracer = scope["state"]["tracer"]
        with acting_as(present), tracer.span(f"{_method(scope)} request", kind="server") as span:
            try:
                await self._app(scope, receive, answer)
            finally:
                method, route = _method(scope), _route(scope)
                requests, seconds = _counted(method, route, answer.status)
                requests.inc()
                seconds.observe(answer.seconds())
                span.name(f"{method} {route}", status=answer.status)
                _log(method, route, answer)


class _Answer:
    """Passes an answer on, with the request's id among its headers."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._header = (b"x-request-id", request_id.encode())
        self._began = time.perf_counter()
        self._until: float | None = None
        self.status = _LEFT

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), self._header]
            message = {**message, "headers": headers}
            if b"event-stream" in dict(headers).get(b"content-type", b""):
                # It lasts as long as somebody follows.
                self._until = time.perf_counter()
        await self._send(message)

    def seconds(self) -> float:
        return (self._until or time.perf_counter()) - self._began


def _request_id(sent: bytes) -> str:
    return sent.decode() if _SANE_ID.fullmatch(sent) else urandom(16).hex()


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "none"))


@lru_cache(maxsize=2000)
def _counted(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Give what counts such requests: to find it by its labels takes longer than to count."""
    return REQUESTS.labels(method, route, status), REQUEST_SECONDS.labels(method, route)


def _log(method: str, route: str, answer: _Answer) -> None:
    if route in _QUIET and answer.status < 500:
        return
    facts = {"status": answer.status, "ms": round(answer.seconds() * 1000, 1)}
    log.info("%s %s", method, route, extra={"facts": facts})
