"""Host applications: who may call, from where, and how they sign."""

import secrets
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ByteSize
from pydantic import Field as Bounded
from sqlalchemy import JSON, Column, LargeBinary, String
from sqlmodel import Field

from inset.clock import UtcDateTime, now
from inset.models.capabilities import EVERY_CAPABILITY, written
from inset.models.table import Table
from inset.settings import DataPolicy, Duration

Algorithm = Literal["HS256", "RS256", "ES256"]
"""How a host application signs its JWTs."""


class HostKey(BaseModel, frozen=True):
    """One key that verifies a host application's JWTs."""

    kid: str
    """The key's name: a JWT's header must carry it."""

    alg: Algorithm
    """The one algorithm this key is used with, whatever a token's header claims."""

    key: str
    """The shared secret (HS256) or the PEM of the public key (RS256, ES256)."""


class Limits(BaseModel, frozen=True, extra="forbid"):
    """What a host application may use. None is no limit of its own beside the service's."""

    sessions: int | None = Bounded(default=None, ge=1)
    """Sessions at once, of all its users."""

    sessions_per_user: int | None = Bounded(default=None, ge=1)
    """Sessions at once of one user."""

    queue: int | None = Bounded(default=None, ge=1)
    """Sessions that wait for a place at once."""

    notebook_size: ByteSize | None = Bounded(default=None, ge=1)
    """The largest notebook: bytes, or as in `20 MB`."""

    idle_timeout: Duration | None = Bounded(default=None, gt=timedelta())
    """After how long without activity its sessions end, where that is sooner than their profile says."""

    max_age: Duration | None = Bounded(default=None, gt=timedelta())
    """How long its sessions last, where that is shorter than their profile says."""

    requests_per_minute: int | None = Bounded(default=None, ge=1)
    """Calls to the API by or for one user; event streams do not count."""


class Host(Table, table=True):
    """A registered host application."""

    __tablename__ = "hosts"

    id: str = Field(primary_key=True, max_length=64)
    origins: list[str] = Field(sa_column=Column(JSON, nullable=False))
    keys: list[dict[str, str]] = Field(sa_column=Column(JSON, nullable=False))
    jwks_url: str | None = None
    """Where it publishes further keys, as a JWK set."""
    limits: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    """A `Limits`."""
    may: str = Field(default=written(EVERY_CAPABILITY))
    """The most that its users may do in a notebook."""
    profiles: list[str] = Field(default_factory=lambda: ["default"], sa_column=Column(JSON, nullable=False))
    """The profiles that its sessions may have, the one they have unless they say so first."""
    data_policy: DataPolicy = Field(default="open", sa_type=String(16))
    """How far its data may go, where the service's own setting is not stricter."""
    store_key: bytes = Field(
        default_factory=lambda: secrets.token_bytes(32), sa_column=Column(LargeBinary, nullable=False)
    )
    """Names its blobs: whoever sees a blob's key learns nothing of what is in it. Longer if a master key wraps it."""
    updated_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class CallCount(Table, table=True):
    """How many calls a user has made in one minute; only for host applications that limit them."""

    __tablename__ = "call_counts"

    host_id: str = Field(primary_key=True, foreign_key="hosts.id", max_length=64)
    user: str = Field(primary_key=True, max_length=255)
    minute: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    calls: int


class Revocation(Table, table=True):
    """One user's tokens that were signed until a moment are void."""

    __tablename__ = "revocations"

    host_id: str = Field(primary_key=True, foreign_key="hosts.id", max_length=64)
    user: str = Field(primary_key=True, max_length=255)
    revoked_at: datetime = Field(sa_type=UtcDateTime)
