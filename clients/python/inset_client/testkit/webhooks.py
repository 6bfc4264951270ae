"""Webhooks as the service signs them: what happens to the fake is told to a host's own back end.

They are there to be looked at and handed to a test client; a fake on a socket also posts them itself.
"""

import hmac
import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

EVENTS = ("notebook.saved", "notebook.conflict", "session.ready", "session.ended")


@dataclass(frozen=True)
class FakeWebhook:
    """One event, whether or not an endpoint is told of it."""

    type: str
    subject: str
    """The id of the notebook, or of the session."""
    data: dict[str, Any]
    secret: str = field(repr=False)
    id: str = field(default_factory=lambda: f"evt_{uuid4().hex}")
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def body(self) -> bytes:
        """What is posted."""
        told = {"type": self.type, "timestamp": written(self.at), "data": self.data}
        return json.dumps(told, separators=(",", ":")).encode()

    def headers(self, *, at: datetime | None = None, secret: str | None = None) -> dict[str, str]:
        """Sign it, as of now; by another time or another secret for what your back end must refuse."""
        timestamp = str(int((at or datetime.now(UTC)).timestamp()))
        key = b64decode((secret or self.secret).removeprefix("whsec_"))
        signature = b64encode(hmac.digest(key, f"{self.id}.{timestamp}.".encode() + self.body, sha256)).decode()
        return {
            "content-type": "application/json",
            "webhook-id": self.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{signature}",
        }


@dataclass
class FakeDelivery:
    """One event on its way to one endpoint."""

    id: int
    webhook: FakeWebhook
    url: str
    secret: str = field(repr=False)
    endpoint: str
    state: str = "waiting"
    attempts: int = 0
    next_at: datetime | None = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None
    last_status: int | None = None
    last_error: str | None = None

    def again(self) -> None:
        """Have it made again at once."""
        self.state, self.attempts, self.finished_at, self.next_at = "waiting", 0, None, datetime.now(UTC)

    def public(self) -> dict[str, Any]:
        """Write it as the API does."""
        named = ("id", "endpoint", "state", "attempts", "last_status", "last_error")
        return {
            **{name: getattr(self, name) for name in named},
            "event_id": self.webhook.id,
            "type": self.webhook.type,
            "subject": self.webhook.subject,
            "created_at": written(self.webhook.at),
            "next_at": written(self.next_at),
            "finished_at": written(self.finished_at),
        }


@dataclass(frozen=True)
class _Endpoint:
    name: str
    url: str
    events: Sequence[str]
    secret: str = field(repr=False)


class FakeWebhooks:
    """What has happened, and to whom it is told."""

    def __init__(self) -> None:
        self.secret = new_secret()
        self.told: list[FakeWebhook] = []
        self.deliveries: list[FakeDelivery] = []
        self.off: set[str] = set()
        """Endpoints that have answered 410."""
        self._endpoints: list[_Endpoint] = []

    def send(self, url: str, events: Sequence[str], secret: str | None) -> None:
        """Tell this address from now on."""
        name = f"endpoint-{len(self._endpoints) + 1}" if self._endpoints else "main"
        self._endpoints.append(_Endpoint(name, url, events, secret or self.secret))

    def happened(self, type: str, subject: str, data: dict[str, Any]) -> None:
        """Note an event, for its endpoints too."""
        webhook = FakeWebhook(type, subject, data, self.secret)
        self.told.append(webhook)
        for to in self._endpoints:
            if type in to.events and to.name not in self.off:
                id = len(self.deliveries) + 1
                self.deliveries.append(FakeDelivery(id, webhook, to.url, to.secret, to.name))

    def due(self) -> list[FakeDelivery]:
        """Give what is to be posted now: of each notebook and session what came first, the rest waits behind it."""
        first: dict[tuple[str, str], FakeDelivery] = {}
        for delivery in self.deliveries:
            if delivery.state == "waiting":
                first.setdefault((delivery.endpoint, delivery.webhook.subject), delivery)
        now = datetime.now(UTC)
        return [delivery for delivery in first.values() if delivery.next_at and delivery.next_at <= now]


def new_secret() -> str:
    """Make a secret."""
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


def written(moment: datetime | None) -> str | None:
    """Write a time as the service does."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None
