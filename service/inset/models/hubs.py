"""What is known of a hub beside its configuration."""

from datetime import datetime

from sqlmodel import Field

from inset.clock import UtcDateTime, now
from inset.models.table import Table


class Drain(Table, table=True):
    """A hub that takes no new servers."""

    __tablename__ = "drains"

    hub: str = Field(primary_key=True, max_length=32)
    since: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    end_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """From when on the sessions that are still there are saved and ended; None if they may stay."""
