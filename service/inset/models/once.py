"""What must happen once, however many replicas hear of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field

from inset.clock import UtcDateTime
from inset.models.table import Table


class UsedTicket(Table, table=True):
    """A ticket that was redeemed; kept until it would have expired anyway."""

    __tablename__ = "used_tickets"

    jti: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class IdempotencyKey(Table, table=True):
    """The answer that was given to a creating request, for the caller who asks again."""

    __tablename__ = "idempotency_keys"

    caller: str = Field(primary_key=True)
    route: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    answer: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)
