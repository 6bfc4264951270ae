"""Who reaches whom: connections tried from inside a container."""

import json
from typing import Any

from tests.docker.deployment import Deployment

REACH = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def reach(place):
    try:
        socket.create_connection(place, timeout=3).close()
        return "reached"
    except OSError:
        return "not reached"

places = json.load(sys.stdin)
# All at once: looking up a name that nobody knows takes long.
print(*ThreadPoolExecutor(len(places)).map(reach, places), sep="\\n")
"""


def ask_from(running: Deployment, container: str, *places: tuple[str, int]) -> list[str]:
    """Try to connect to each place from inside a container: gives `reached` or `not reached` for each."""
    asked = json.dumps(places)
    told = running.composed.docker("exec", "--interactive", container, "python3", "-c", REACH, stdin=asked)
    return told.splitlines()


def address(running: Deployment, part: str) -> str:
    """Give one of a part's own addresses."""
    networks: dict[str, Any] = running.inspected(running.container(part))["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])
