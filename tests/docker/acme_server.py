"""Certificates by ACME: the edge and lego as compose.acme.yaml has them, and Debian's pebble, an ACME server for tests.

Pebble looks for the challenges' answers as any such server does: by name, and by HTTP.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compose import Composed

from tests.docker.deployment import Deployment
from tests.support.edge import make_certificates
from tests.support.real_hub import ROOT, free_ports

DOMAIN = "example.test"
SEATS = 2
NAMES = tuple(f"{name}.{DOMAIN}" for name in ("inset", "fieldnotes", "assets.nb", "seat-001.nb", "seat-002.nb"))

_PEBBLE = """
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update && apt-get install -y --no-install-recommends pebble && rm -rf /var/lib/apt/lists/*
"""
_PARTS = ("pebble", "edge", "acme")


@dataclass(frozen=True)
class Certified:
    composed: Composed
    port: int
    """The edge's, on this machine's loopback."""

    def authority(self) -> str:
        """Give the certificate of the authority that signs: pebble makes it up anew at each start."""
        fetch = (
            "import ssl, sys, urllib.request as r; trust = ssl.create_default_context(cafile='/acme-server/ca.pem');"
            "print(r.urlopen('https://pebble:15000/roots/0', context=trust, timeout=9).read().decode())"
        )
        return self.composed.inside("pebble", "python3", "-c", fetch)


@contextmanager
def certified(beside: Deployment, folder: Path) -> Iterator[Certified]:
    """Run it beside a deployment, of the same images, until the block is left. Nothing is behind this edge."""
    http, https = free_ports(2)
    settings = {
        **beside.composed.environment,
        "INSET_USERS_NETWORK": f"{beside.name}-acme",
        "INSET_DOMAIN": DOMAIN,
        "INSET_HTTP_PORT": str(http),
        "INSET_PORT": str(https),
        "INSET_URL_PORT": f":{https}",
        "INSET_SEATS": str(SEATS),
        "INSET_ACME_EMAIL": f"operator@{DOMAIN}",
        "INSET_ACME_SERVER": "https://pebble:14000/dir",
        "INSET_ACME_ENV_FILE": str(folder / "provider.env"),
    }
    (folder / "provider.env").write_text("LEGO_CA_CERTIFICATES=/acme-server/ca.pem\nINSET_ACME_PATIENCE=1\n")
    options = ("--env-file", str(folder / "no.env"), "-p", f"{beside.name}-acme")
    (folder / "no.env").touch()
    files = (ROOT / "compose.yaml", ROOT / "compose.acme.yaml", _with_pebble(folder, settings))
    composed = Composed(settings, options, files, say=lambda _: None)
    try:
        composed.build("acme", "pebble")
        composed.compose("up", "--no-build", "--no-deps", "secrets")
        composed.compose("up", "--detach", "--no-build", "--no-deps", *_PARTS)
        yield Certified(composed, https)
    finally:
        composed.compose("down", "--volumes", "--timeout", "2")


def _with_pebble(folder: Path, settings: dict[str, str]) -> Path:
    """Write what the Compose files are told beside what they say."""
    server = folder / "acme-server"
    server.mkdir()
    make_certificates(server, "pebble")
    (server / "key.pem").chmod(0o644)
    config = {
        "listenAddress": "0.0.0.0:14000",
        "managementListenAddress": "0.0.0.0:15000",
        "certificate": "/acme-server/chain.pem",
        "privateKey": "/acme-server/key.pem",
        # The edge's own, in its container.
        "httpPort": 8080,
        "tlsPort": 8443,
        # So short that it is renewed at the next look.
        "certificateValidityPeriod": 20 * 24 * 3600,
    }
    (server / "pebble.json").write_text(json.dumps({"pebble": config}))
    (folder / "Dockerfile").write_text(_PEBBLE)
    mounted = f"{server}:/acme-server:ro"
    added = {
        "edge": {"networks": {"outside": {"aliases": list(NAMES)}}},
        "acme": {"volumes": [mounted]},
        "pebble": {
            "image": f"inset-pebble:{settings['INSET_TAG']}",
            "build": {"context": str(folder), "args": {"BASE_IMAGE": settings["INSET_BASE_IMAGE"]}},
            "command": ["pebble", "-config", "/acme-server/pebble.json"],
            "environment": {"PEBBLE_VA_NOSLEEP": "1"},
            "networks": ["outside"],
            "volumes": [mounted],
        },
    }
    override = folder / "pebble-compose.json"
    override.write_text(json.dumps({"services": added}))
    return override
