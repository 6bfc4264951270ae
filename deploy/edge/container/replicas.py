"""Prints the servers of nginx's for the service: those of its replicas that want requests.

    python3 replicas.py PORT ADDRESS…

A replica that is being stopped says so, and answers on for INSET_SHUTDOWN_DELAY: what is sent to it after that would be
lost. Where none says that it is ready, one that is slow to say so comes before one that says no, and that before one
that is not there.
"""

import http.client
import sys
from concurrent.futures import ThreadPoolExecutor

_SECONDS = 5.0
"""Within which a replica says that it is ready."""


def main(port: int, addresses: list[str]) -> None:
    """Print them, separated as the template has it."""
    with ThreadPoolExecutor(len(addresses)) as asking:
        places = list(asking.map(lambda address: _place(address, port), addresses))
    chosen = [address for address, place in zip(addresses, places, strict=True) if place == min(places)]
    print("; server ".join(f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address in chosen))


def _place(address: str, port: int) -> int:
    asking = http.client.HTTPConnection(address, port, timeout=_SECONDS)
    try:
        asking.request("GET", "/readyz?ignore=hub")
        return 0 if asking.getresponse().status == http.client.OK else 2
    except TimeoutError:
        return 1
    except (OSError, http.client.HTTPException):
        return 3
    finally:
        asking.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sorted(sys.argv[2:]))
