"""Webhooks: where host applications hear of what happens, and what was sent there."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel
from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field

from inset.clock import UtcDateTime, now
from inset.models.table import Table

EventType = Literal["session.ready", "session.ended", "notebook.saved", "notebook.conflict"]
"""What a host application can be told of."""

DeliveryState = Literal["waiting", "delivered", "failed"]
"""`waiting` for its next attempt, `delivered`, or `failed` when it was given up."""

_GROWING = BigInteger().with_variant(Integer, "sqlite")
_WAITING = text("state = 'waiting'")


class WebhookEndpoint(Table, table=True):
    """One address of a host application, as the operator's file names it."""

    __tablename__ = "webhook_endpoints"

    host_id: str = Field(primary_key=True, foreign_key="hosts.id", max_length=64)
    name: str = Field(primary_key=True, max_length=32)
    url: str
    events: list[str] = Field(sa_column=Column(JSON, nullable=False))
    """The `EventType`s that it is told."""
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """Its secrets, encrypted."""
    audit_after: int = Field(sa_column=Column(BigInteger, nullable=False))
    """The last row of the audit log before it was there: it is told nothing older."""
    events_after: int = Field(sa_column=Column(BigInteger, nullable=False))
    """The same of the sessions' events."""
    switched_off_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When it answered that it wants nothing more."""


class WebhookCursor(Table, table=True):
    """How far a feed has been read, by whichever replica came to it."""

    __tablename__ = "webhook_cursors"

    feed: str = Field(primary_key=True, max_length=16)
    position: int = Field(sa_column=Column(BigInteger, nullable=False))
    """The id of the last row that was turned into deliveries."""


class WebhookDelivery(Table, table=True):
    """One event on its way to one endpoint. It refers to rows that may be gone."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("one_delivery_an_event_and_endpoint", "event_id", "host_id", "endpoint", unique=True),
        Index("webhook_deliveries_by_host", "host_id", "id"),
        Index("webhook_deliveries_by_time", "created_at"),
        Index("webhook_deliveries_due", "next_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index(
            "webhook_deliveries_by_subject",
            "host_id",
            "endpoint",
            "subject",
            "id",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(_GROWING, primary_key=True))
    event_id: str = Field(max_length=64)
    host_id: str = Field(max_length=64)
    endpoint: str = Field(max_length=32)
    type: str = Field(max_length=32)
    subject: str = Field(max_length=64)
    """The notebook or session within which events are told in their order."""
    body: str = Field(sa_column=Column(Text, nullable=False))
    """The exact text that is signed and sent."""
    state: str = Field(default="waiting", max_length=16)
    """A `DeliveryState`."""
    attempts: int = 0
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When it is tried next, or, while a replica tries it, when another one may; none behind one that comes first."""
    lease_owner: str | None = Field(default=None, max_length=32)
    """The replica that tries it now."""
    give_up_at: datetime = Field(sa_type=UtcDateTime)
    last_status: int | None = None
    last_error: str | None = Field(default=None, max_length=32)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DeliveryPublic(BaseModel):
    """One event on its way to one endpoint, as a host's backend sees it."""

    id: int
    event_id: str = Field(description="The header `webhook-id`: the same with each attempt, and when it is resent.")
    endpoint: str = Field(description="The endpoint's name in the operator's file.")
    type: EventType
    subject: str = Field(description="The id of the notebook, or of the session.")
    state: DeliveryState
    attempts: int = Field(description="How often it was tried, since it was last resent.")
    created_at: datetime
    next_at: datetime | None = Field(
        description="When it is tried next; null if it is over, or waits for one before it."
    )
    finished_at: datetime | None
    last_status: int | None = Field(description="What the endpoint last answered; null if it did not.")
    last_error: str | None = Field(
        description="Why the last attempt failed: `status`, `timed-out`, `unreachable`, `tls-failed`, "
        "`address-not-allowed`, `secret-unreadable`, `endpoint-gone` (it answered 410) or `endpoint-removed`."
    )


class DeliveryList(BaseModel):
    """One page of deliveries, newest first."""

    items: list[DeliveryPublic]
    next_cursor: str | None
