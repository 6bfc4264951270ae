"""What an address tells by itself."""

import ipaddress
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_local(name: str | None) -> bool:
    """Tell whether a name stands for the machine that asks. Browsers take it for secure, and ask no DNS."""
    if not name:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def dialled(url: SplitResult) -> tuple[str, int]:
    """Give the address at which this machine reaches a public URL: Python does not resolve `*.localhost`."""
    name = url.hostname or ""
    return "127.0.0.1" if is_local(name) else name, url.port or DEFAULT_PORTS[url.scheme]


def site(url: str) -> tuple[str, str]:
    """Give what a browser most likely takes for the site: the scheme and the last two labels of the name."""
    parts = urlsplit(url)
    return parts.scheme, ".".join((parts.hostname or "").split(".")[-2:])
