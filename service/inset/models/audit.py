"""The audit log: who did what to whose notebook, when."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import JSON, BigInteger, Column, Index, Integer
from sqlmodel import Field

from inset.acting import Actor
from inset.clock import UtcDateTime, now
from inset.models.table import Table

Action = Literal[
    "session.opened",
    "session.entered",
    "session.ending",
    "session.failed",
    "notebook.created",
    "notebook.saved",
    "notebook.renamed",
    "notebook.deleted",
    "notebook.undeleted",
    "notebook.purged",
    "notebook.downloaded",
    "notebook.compared",
    "notebook.previewed",
    "user.revoked",
    "host.registered",
    "host.key-added",
    "host.key-retired",
    "host.removed",
    "hub.drained",
    "hub.resumed",
]


class Audit(Table, table=True):
    """One act. It refers to rows that may be gone: nothing that is deleted takes it along, and no update touches it."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_by_host", "host_id", "id"),
        Index("audit_by_time", "at"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    )
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    action: str = Field(max_length=32)
    actor: str = Field(max_length=16)
    host_id: str = Field(max_length=64)
    user: str | None = Field(default=None, max_length=255)
    notebook_id: str | None = Field(default=None, max_length=64)
    session_id: str | None = Field(default=None, max_length=64)
    request_id: str | None = Field(default=None, max_length=64)
    facts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


class AuditPublic(BaseModel):
    """One act, as a host's backend and an operator see it."""

    id: int = Field(description="Grows in the order in which acts were committed.")
    at: datetime
    action: Action
    actor: Actor = Field(
        description="`user`: he himself; `backend`: his host for him; `server`: his notebook server, as on a save in "
        "Jupyter; `operator`: somebody at the command line; `service`: Inset by itself."
    )
    host_id: str = Field(description="Empty on what concerns all of them, as a hub: an operator alone reads that.")
    user: str | None = Field(description="Whose notebook or session it was; null for acts on the host application.")
    notebook_id: str | None
    session_id: str | None
    request_id: str | None = Field(description="The answer's `X-Request-Id`; null for what no request did.")
    facts: dict[str, Any] = Field(description="What else is known: a version and its hash, a reason, a `kid`.")


class AuditList(BaseModel):
    """One page of the audit log, newest first."""

    items: list[AuditPublic]
    next_cursor: str | None
