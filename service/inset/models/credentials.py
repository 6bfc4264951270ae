"""Data credentials: a host's own, which a session's kernels use in their user's name while the session lives."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, SecretStr
from pydantic import Field as Bounded
from sqlalchemy import Column, LargeBinary
from sqlmodel import Field

from inset.clock import UtcDateTime, now
from inset.models.table import Table


class DataCredential(BaseModel, frozen=True, extra="forbid"):
    """One credential. Whatever shows it shows no value."""

    value: SecretStr = Bounded(min_length=1, max_length=16_384, description="A token, a key, or a JSON text.")
    expires_at: AwareDatetime | None = Bounded(
        default=None, description="When it stops being good; from then on kernels no longer find it."
    )


_Name = Annotated[str, Bounded(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
CredentialSet = Annotated[dict[_Name, DataCredential], Bounded(max_length=16)]
"""By the names under which a notebook finds them."""


class CredentialsPut(BaseModel):
    """All that the session's kernels are to have from now on, in the place of what they had."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"credentials": {"warehouse": {"value": "…", "expires_at": "2026-11-27T12:00:00Z"}}}]
        },
    )

    credentials: CredentialSet


class CredentialsHeld(BaseModel):
    """What is kept for a session: names and times, no values."""

    expires_at: dict[str, datetime | None] = Bounded(description="By the credential's name.")


class DataCredentialRow(Table, table=True):
    """What a host has passed for an open session, encrypted."""

    __tablename__ = "data_credentials"

    session_id: str = Field(primary_key=True, foreign_key="sessions.id")
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    updated_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
