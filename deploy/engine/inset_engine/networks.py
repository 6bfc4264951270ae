"""The networks that restricted seats have for themselves: what they may be, and who may be connected to them.

Their bodies are not even copied: of what is asked for, the names are compared, and the rest is always the same.
"""

from typing import Any

from inset_engine.bodies import Seats
from inset_engine.checks import Refused

_OPTIONS = {"com.docker.network.bridge.inhibit_ipv4": "true"}


def network_body(seats: Seats, asked: Any) -> dict[str, Any]:
    """Make the body of a network for one seat: without a way out, and without the machine on it. Raises `Refused`."""
    name = asked.get("Name") if isinstance(asked, dict) else None
    if not isinstance(name, str) or not seats.named(name):
        raise Refused("the network's name")
    if asked.get("Internal") is not True:
        raise Refused("a network that is not internal")
    return {"Name": name, "CheckDuplicate": True, "Driver": "bridge", "Internal": True, "Options": _OPTIONS}


def connected(seats: Seats, asked: Any) -> str:
    """Read what is to be connected or disconnected. Raises `Refused` if it is not listed."""
    part = asked.get("Container") if isinstance(asked, dict) else None
    if not isinstance(part, str) or part not in seats.reach:
        raise Refused("what is not listed in INSET_DOCKER_RESTRICTED_REACH")
    return part
