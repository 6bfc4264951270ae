"""Documents as callers give and get them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import httpx

Document = Mapping[str, Any] | bytes | Path
"""A notebook: as an object, as JSON, or as a file, which is streamed from the disk."""


@dataclass(frozen=True)
class Content:
    """A version's exact bytes."""

    version: int
    body: bytes = field(repr=False)

    def document(self) -> dict[str, Any]:
        """Read them as an nbformat 4 document."""
        return cast(dict[str, Any], json.loads(self.body))


@dataclass(frozen=True)
class DataCredential:
    """What a session's kernels use in their user's name."""

    value: str = field(repr=False)
    expires_at: datetime | None = None
    """When it stops being good; with its time zone."""


def version_of(answer: httpx.Response) -> int:
    """Read the version that an answer's ETag names."""
    return int(answer.headers["ETag"].removeprefix("W/").strip('"'))


def credentials_json(credentials: Mapping[str, DataCredential]) -> dict[str, Any]:
    """Write credentials as a request has them."""
    return {
        name: {"value": one.value, "expires_at": one.expires_at.isoformat() if one.expires_at else None}
        for name, one in credentials.items()
    }
