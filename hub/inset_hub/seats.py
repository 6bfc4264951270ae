"""Seats: the hub's users, and what the service says about each one's next server."""

import re
from typing import Any

from inset_hub import data_policy

_SERVER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{7,63}")
_CAPABILITY = re.compile(r"[a-z]+")
_ORIGIN = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")


def names(count: int) -> list[str]:
    """Number seats from 001 on; a name is also a DNS label, since each seat is an origin of its own."""
    return [f"seat-{number:03}" for number in range(1, count + 1)]


def identity(user_options: dict[str, Any]) -> dict[str, str]:
    """Give the environment that tells a server who it is, which exact origins may frame it, what its user may do.

    Raises ValueError, which JupyterHub answers with 400: the origins become a header and the id a folder's name.
    """
    server_id = user_options.get("server_id", "")
    origins = user_options.get("origins", [])
    may = user_options.get("may", [])
    if not isinstance(server_id, str) or not _SERVER_ID.fullmatch(server_id):
        raise ValueError("user_options.server_id is not an id")
    if not isinstance(origins, list) or not all(isinstance(o, str) and _ORIGIN.fullmatch(o) for o in origins):
        raise ValueError("user_options.origins are not exact origins")
    if not isinstance(may, list) or not all(isinstance(word, str) and _CAPABILITY.fullmatch(word) for word in may):
        raise ValueError("user_options.may are not capabilities")
    ahead = user_options.get("ahead", False)
    if not isinstance(ahead, bool):
        raise ValueError("user_options.ahead is neither true nor false")
    return {
        "INSET_SERVER_ID": server_id,
        "INSET_ORIGINS": " ".join(origins),
        "INSET_MAY": " ".join(may),
        "INSET_DATA_POLICY": data_policy.of(user_options),
        # For whoever comes: with a kernel that waits for him.
        **({"INSET_AHEAD": "1"} if ahead else {}),
    }
