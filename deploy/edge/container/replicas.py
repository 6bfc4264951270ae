"""Prints the servers of nginx's for the service: those of its replicas that want requests.

    python3 replicas.py NAME:PORT

A replica that is being stopped says so, and answers on for INSET_SHUTDOWN_DELAY: what is sent to it after that would be
lost. Where no replica wants any, all are named: what they answer passes. A name with one address stays as it is.
"""

import http.client
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

_SECONDS = 5.0
"""Within which a replica says that it is ready."""


def main(part: str) -> None:
    """Print them, separated as the template has it. Raises `OSError` for a name that has no address."""
    name, port = part.rsplit(":", 1)
    found = socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)
    addresses = sorted({str(place[4][0]) for place in found})
    if len(addresses) == 1:
        print(part)
        return
    with ThreadPoolExecutor(len(addresses)) as asking:
        ready = list(asking.map(lambda address: _is_ready(address, int(port)), addresses))
    chosen = [address for address, is_ready in zip(addresses, ready, strict=True) if is_ready] or addresses
    print("; server ".join(f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address in chosen))


def _is_ready(address: str, port: int) -> bool:
    asking = http.client.HTTPConnection(address, port, timeout=_SECONDS)
    try:
        asking.request("GET", "/readyz?ignore=hub")
        return asking.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()


if __name__ == "__main__":
    main(sys.argv[1])
