"""Prints INSET_WEBHOOKS__NETWORKS with one network more: the one in which this container has the address of a name.

    python network_of.py NAME

The engine chooses a network's addresses when it makes it, so no file can say them.
"""

import json
import os
import socket
import struct
import sys
from ipaddress import IPv4Network, ip_address
from pathlib import Path


def main(name: str) -> None:
    """Print them as the service reads them. Raises `OSError` for a name that has no address."""
    given = json.loads(os.environ.get("INSET_WEBHOOKS__NETWORKS") or "[]")
    own = ip_address(socket.gethostbyname(name))
    print(json.dumps([*given, *(str(network) for network in _links() if own in network)]))


def _links() -> list[IPv4Network]:
    """Give the networks that this machine is on itself: the routes that lead by no gateway."""
    header, *routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()]
    named = [dict(zip(header, route, strict=True)) for route in routes]
    return [
        IPv4Network((_address(route["Destination"]), _address(route["Mask"])))
        for route in named
        if int(route["Gateway"], 16) == 0
    ]


def _address(kernels: str) -> str:
    """Read one as the kernel writes it: its bytes as a number of this processor."""
    return socket.inet_ntoa(struct.pack("=L", int(kernels, 16)))


if __name__ == "__main__":
    main(sys.argv[1])
