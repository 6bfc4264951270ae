"""The back end of a host application, as far as it receives webhooks: an ASGI app that remembers what came."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SECRET = "whsec_" + "A" * 43 + "="
NEW_SECRET = "whsec_" + "B" * 43 + "="
ALL = ["session.ready", "session.ended", "notebook.saved", "notebook.conflict"]


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def version(self) -> int | None:
        version: int | None = self.event["data"].get("version")
        return version


@dataclass
class Receiver:
    received: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """The statuses of the next answers; then `answer`."""
    answer: int = 204
    refuses: Callable[[Received], bool] = lambda _: False
    """Tells of one that has come whether it is answered with 500, whatever else is set."""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """What its answers carry."""
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared, it answers nobody."""

    def __post_init__(self) -> None:
        self.open.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status = self.answers.pop(0) if self.answers else self.answer
        received = Received({**headers, "path": scope["path"]}, body)
        if self.refuses(received):
            status = 500
        self.received.append(received)
        await self.open.wait()
        await send({"type": "http.response.start", "status": status, "headers": self.headers})
        await send({"type": "http.response.body", "body": b""})

    async def until(self, count: int) -> list[Received]:
        """Wait until so many have come."""
        async with asyncio.timeout(60):
            while len(self.received) < count:
                await asyncio.sleep(0.02)
        return self.received

    def versions(self) -> list[int | None]:
        return [one.version for one in self.received]
