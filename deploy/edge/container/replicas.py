"""Prints the servers of nginx's for the service: those of its replicas that want requests.

    python3 replicas.py PORT ADDRESS…

A replica that is being stopped says so, and answers on for INSET_SHUTDOWN_DELAY: what is sent to it after that would be
lost. Where no replica wants any, all are named: what they answer passes.
"""

import http.client
import sys
from concurrent.futures import ThreadPoolExecutor

_SECONDS = 5.0
"""Within which a replica says that it is ready."""


def main(port: int, addresses: list[str]) -> None:
    """Print them, separated as the template has it."""
    with ThreadPoolExecutor(len(addresses)) as asking:
        ready = list(asking.map(lambda address: _is_ready(address, port), addresses))
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
    main(int(sys.argv[1]), sorted(sys.argv[2:]))
