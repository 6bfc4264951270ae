"""The wall between users in one browser: an origin for each seat. Paths on one origin are none."""

import ipaddress
import sys
from urllib.parse import urlsplit

_BANNER = """
  ┌─────────────────────────────────────────────────────────────────────────────┐
  │  Inset's isolation is off: all seats share one origin. In one browser, each │
  │  user's notebook can read the other's page, files and sockets.              │
  └─────────────────────────────────────────────────────────────────────────────┘
"""


def subdomain_host(public_url: str, *, isolation: str, acknowledged: bool) -> str:
    """Give the URL that the seats' own origins are made from: none if isolation is off and that is acknowledged.

    Ends the hub where it would serve several users on one origin without being told that this is meant.
    """
    if isolation not in ("on", "off"):
        raise ValueError(f"INSET_ISOLATION is {isolation!r}; it can be 'on' or 'off'")
    if isolation == "on":
        if not can_have_subdomains(public_url):
            raise SystemExit(
                f"Refused: no seat can have an origin of its own below {public_url!r}, and without one each user's "
                "notebook can read the others'. Set INSET_HUB_PUBLIC_URL to a name with a wildcard below it."
            )
        return public_url
    if not acknowledged:
        raise SystemExit(
            "Refused: with INSET_ISOLATION=off all seats share one origin, and in one browser each user's notebook can "
            "read the others'. Leave it on, or set INSET_ALLOW_SHARED_ORIGIN=1 if you know better."
        )
    print(_BANNER, file=sys.stderr, flush=True)
    return ""


def can_have_subdomains(url: str) -> bool:
    """An address is no name, and nothing can stand before it."""
    host = urlsplit(url).hostname
    if not host:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
