"""A notebook that is saved, and the version that it gets: rows, without the ORM, which takes longer for its objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(slots=True)
class Held:
    """What is read of a notebook whose row a transaction holds."""

    id: str
    host_id: str
    owner: str
    name: str
    current: int
    last_number: int
    created_at: datetime
    updated_at: datetime
    store_key: bytes = field(repr=False)
    """The secret by which its host application's blobs are named, as it is stored."""

    def follow(self, changed: Mapping[str, Any]) -> None:
        """Have it be what was written of it."""
        for name, value in changed.items():
            setattr(self, name, value)


class Appended(NamedTuple):
    """A version that was stored just now: a `Version`'s columns."""

    notebook_id: str
    number: int
    parent: int | None
    sha256: str
    size: int
    origin: str
    author: str
    valid: bool
    aside: str | None
    merged: int | None
    created_at: datetime
    label: str | None = None
