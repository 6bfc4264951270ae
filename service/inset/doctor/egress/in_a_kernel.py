"""What the doctor runs inside a kernel, sent there as this very text: Python's own library, and nothing of Inset.

Each question is tried as the user's own code would, and answered with what got through.
"""

import json
import os
import socket
import struct
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 4


def ask(asked: dict[str, Any]) -> dict[str, Any]:
    """Try everything at once: what is kept out often lets one wait."""
    # Else each name that nobody knows takes ten seconds.
    os.environ["RES_OPTIONS"] = "timeout:3 attempts:1"
    hub = urlsplit(os.environ.get("JUPYTERHUB_API_URL", ""))
    machine = [[gateway, port] for gateway in _gateways() for port in asked["machine_ports"]]
    places = {
        "service": [_place(os.environ.get("INSET_SERVICE_URL", ""))],
        "proxy": [[hub.hostname or "", asked["proxy_port"]], *asked["proxy"]],
        "machine": machine,
        "engine": [*asked["engine"], *([gateway, port] for gateway in _gateways() for port in (2375, 2376))],
    }
    places |= {name: asked[name] for name in ("internet", "names", "metadata", "neighbours", "database", "outside")}
    with ThreadPoolExecutor(64) as pool:
        reached = {name: [pool.submit(_reached, *one) for one in wanted] for name, wanted in places.items()}
        resolved = {name: pool.submit(_resolved, name) for name in asked["resolve"]}
        by_hand = [(resolver, name) for resolver in (*_resolvers(), *asked["resolvers"]) for name in asked["resolve"]]
        answered = {pair: pool.submit(_answers, *pair) for pair in by_hand}
        pages = {path: pool.submit(_status, f"{hub.scheme}://{hub.netloc}{path}") for path in asked["hub_pages"]}
        told = {name: [_text(*p) for p, f in zip(places[name], found, strict=True) if f.result()]
                for name, found in reached.items()}  # fmt: skip
        return {
            **told,
            "sockets": [path for path in asked["sockets"] if Path(path).exists()],
            "resolved": [name for name, found in resolved.items() if found.result()],
            "answered": sorted({resolver for (resolver, _), found in answered.items() if found.result()}),
            "pages": [path for path, found in pages.items() if found.result() == 200],
            "addresses": _addresses(),
            "token": os.environ.get("JUPYTERHUB_API_TOKEN", ""),
            "files": [_written(path) for path in asked["write"]],
        }


def _reached(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError:
        return False
    return True


def _resolved(name: str) -> bool:
    try:
        socket.getaddrinfo(name, 443)
    except OSError:
        return False
    return True


def _answers(resolver: str, name: str) -> bool:
    """Ask a resolver by hand: whether it knows the name, or has asked somebody who says that there is none."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack(">HHHHHH", 0x1A5E, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
    family = socket.AF_INET6 if ":" in resolver else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_SECONDS)
        try:
            asking.sendto(query, (resolver, 53))
            answer = asking.recv(4096)
        except OSError:
            return False
    return len(answer) > 3 and answer[3] & 0x0F in (0, 3)


def _status(url: str) -> int | None:
    asked = urllib.request.Request(
        url, headers={"Authorization": f"token {os.environ.get('JUPYTERHUB_API_TOKEN', '')}"}
    )
    try:
        with urllib.request.urlopen(asked, timeout=_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code
    except (OSError, ValueError):
        return None


def _addresses() -> list[str]:
    try:
        return [address for address in socket.gethostbyname_ex(socket.gethostname())[2] if address != "127.0.0.1"]
    except OSError:
        return []


def _gateways() -> list[str]:
    """Give where the machine is on this container's networks, by custom: the default route, else the first address."""
    found = []
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        _, to, by, *_ = line.split()
        address = int.from_bytes(bytes.fromhex(by), "little") or int.from_bytes(bytes.fromhex(to), "little") + 1
        found.append(socket.inet_ntoa(address.to_bytes(4, "big")))
    return sorted(set(found))


def _resolvers() -> list[str]:
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("nameserver ")]


def _written(path: str) -> str:
    file = Path.home() / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    return str(file)


def _place(url: str) -> list[Any]:
    parts = urlsplit(url)
    return [parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)]


def _text(host: str, port: int) -> str:
    return f"{host}:{port}"


def tell(asked: dict[str, Any]) -> None:
    """Print the answers, in one line that nothing else prints."""
    print("inset-doctor " + json.dumps(ask(asked)))
