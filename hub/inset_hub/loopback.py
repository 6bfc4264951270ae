"""The local spawner's border: it shares one uid between all users, so nobody but this machine may reach it."""

import ipaddress
import sys
from urllib.parse import urlsplit

_BANNER = """
  ┌─────────────────────────────────────────────────────────────────────────────┐
  │  Inset's local spawner: every notebook runs as this account, on this        │
  │  machine, with no wall between users. For one developer's machine only.     │
  │  Set INSET_SPAWNER=docker for anything more.                                │
  └─────────────────────────────────────────────────────────────────────────────┘
"""


def require(bind_url: str, *, acknowledged: bool) -> None:
    """Print the banner, and end the hub if it would listen to other machines without an acknowledgement."""
    print(_BANNER, file=sys.stderr, flush=True)
    if is_loopback(bind_url):
        return
    if not acknowledged:
        raise SystemExit(
            f"Refused: {bind_url} can be reached from other machines, and whoever reaches a notebook of the local "
            "spawner owns this account. Bind to 127.0.0.1, or set INSET_ALLOW_INSECURE_BIND=1 if you know better."
        )
    print(f"  INSET_ALLOW_INSECURE_BIND is set: {bind_url} is open to other machines.\n", file=sys.stderr, flush=True)


def is_loopback(url: str) -> bool:
    """A name counts only if it is localhost: what any other resolves to can change."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
