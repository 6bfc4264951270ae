"""What a kernel of restricted data reaches of a list of what it must not: nothing."""

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit

from inset.doctor.addresses import DEFAULT_PORTS
from inset.doctor.egress import in_a_kernel
from inset.doctor.egress.kernel import Kernel, KernelSilent
from inset.doctor.findings import Finding, error, ok, skipped
from inset.settings import Settings

OTHER_FILES = ("inset-doctor.txt", "work/inset-doctor.ipynb")
"""What is written beside the notebook, for a browser to be refused."""

_PATIENCE = timedelta(seconds=120)
_MARK = "inset-doctor "
_PORT = 8888
"""On which every seat's server listens in its container."""
_OWN = (
    "Let restricted servers have nothing but the internal network that the hub's spawner makes for each, and list in "
    "INSET_DOCKER_RESTRICTED_REACH only what they may reach."
)


@dataclass(frozen=True)
class Outside:
    """What an operator has tried beside the usual."""

    places: tuple[tuple[str, int], ...] = ()
    """Addresses that no kernel is to reach."""
    resolvers: tuple[str, ...] = ()
    """Resolvers that no kernel is to ask."""


@dataclass(frozen=True)
class Seen:
    """What came of it."""

    findings: list[Finding]
    token: str = ""
    """The server's own, as its kernel reads it."""


async def look(settings: Settings, outside: Outside, kernel: Kernel, neighbour: Kernel | None) -> Seen:
    """Have one kernel try everything, its neighbour's port included."""
    asked = _asked(settings, outside)
    try:
        addresses = (await _told(neighbour, {**asked, **_NOTHING}))["addresses"] if neighbour else []
        told = await _told(kernel, {**asked, "neighbours": [[address, _PORT] for address in addresses]})
    except (KernelSilent, KeyError, ValueError):
        fix = "Open a notebook and run a cell; if that works, look at INSET_HUB__PROXY_URL."
        return Seen([error("egress-kernel", "The kernel of a restricted server could not be asked anything.", fix)])
    if not told["service"]:
        fix = f"The service has to be reachable from a server, as INSET_SERVICE_URL at the hub says. {_OWN}"
        return Seen([error("egress-control", "The kernel reaches not even the service: nothing is proved.", fix)])
    return Seen([*_judged(settings, told, tried_neighbour=bool(addresses))], token=str(told["token"]))


_NOTHING: dict[str, Any] = {
    "internet": [], "names": [], "metadata": [], "neighbours": [], "database": [], "outside": [], "proxy": [],
    "engine": [], "machine_ports": [], "resolve": [], "resolvers": [], "hub_pages": [], "sockets": [], "write": [],
}  # fmt: skip
"""For a kernel that is to say its addresses and no more."""


def _asked(settings: Settings, outside: Outside) -> dict[str, Any]:
    proxy, service = urlsplit(settings.hub.proxy_url), urlsplit(settings.public_url)
    database = _database(settings)
    edge = service.port or DEFAULT_PORTS[service.scheme]
    proxy_port = proxy.port or DEFAULT_PORTS[proxy.scheme]
    return {
        **_NOTHING,
        "internet": [["1.1.1.1", 443], ["8.8.8.8", 53], ["9.9.9.9", 443], ["2606:4700:4700::1111", 443]],
        "outside": outside.places,
        "names": [["example.com", 443], ["example.org", 443]],
        "resolve": ["example.com", "example.org"],
        "resolvers": ["8.8.8.8", "1.1.1.1", *outside.resolvers],
        "metadata": [["169.254.169.254", 80], ["fd00:ec2::254", 80], ["100.100.100.200", 80],
                     ["metadata.google.internal", 80]],
        "engine": [["engine", 2375], ["engine", 2376], ["docker", 2375]],
        "sockets": ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"],
        "machine_ports": sorted({22, 53, 80, 111, 443, 5432, 8000, 8001, 8081, 8090, 8091, 9100, edge}),
        "database": [[database.hostname, database.port or 5432]] if database else [],
        "proxy": [[proxy.hostname or "", proxy_port]],
        "proxy_port": proxy_port,
        "hub_pages": ["/hub/home", "/hub/admin", "/hub/token", "/hub/spawn", "/hub/api/users", "/hub/api/proxy"],
        "write": OTHER_FILES,
    }  # fmt: skip


def _database(settings: Settings) -> SplitResult | None:
    """Give where the database listens, if it does."""
    parts = urlsplit(settings.database_url)
    return parts if parts.scheme.startswith("postgres") else None


async def _told(kernel: Kernel, asked: dict[str, Any]) -> dict[str, Any]:
    code = f"{inspect.getsource(in_a_kernel)}\ntell(json.loads({json.dumps(asked)!r}))"
    printed = await kernel.run(code, within=_PATIENCE)
    [line] = [line for line in printed.splitlines() if line.startswith(_MARK)]
    told: dict[str, Any] = json.loads(line.removeprefix(_MARK))
    return told


def _judged(settings: Settings, told: dict[str, Any], *, tried_neighbour: bool) -> Sequence[Finding]:
    """Make a finding of each question."""
    resolver = "Let the engine's resolver ask nobody for restricted servers, as the hub's spawner has it (`dns`)."
    role = "Let nobody but Inset's service have a role at the hub, and the hub be the configuration in `hub/`."
    network = "Let the hub's proxy listen on a network of its own (INSET_HUB_BIND), which no server is on."
    return [
        _none("internet", told["internet"] + told["outside"], "no address of the internet", _OWN),
        _none("names", told["names"], "no name of the internet", _OWN),
        _none("dns", told["resolved"] + told["answered"], "no resolver that knows outside names", resolver),
        _none("engine", told["engine"] + told["sockets"], "no container engine", _OWN),
        _none("metadata", told["metadata"], "no cloud's metadata", _OWN),
        _none("machine", told["machine"], "nothing of the machine that it runs on", _OWN),
        _none("neighbours", told["neighbours"], "no other user's server", _OWN)
        if tried_neighbour
        else skipped("egress-neighbours", "not tried: a second seat has to be free, for a neighbour."),
        _none("proxy", told["proxy"], "no other user's server by the hub's proxy", network),
        _none("hub-pages", told["pages"], "no page of the hub, and of its API only its own", role),
        _none("database", told["database"], "no database", _OWN)
        if _database(settings)
        else ok("egress-database", "A kernel reaches no database: it is a file of the service's."),
    ]


def _none(subject: str, reached: list[str], what: str, fix: str) -> Finding:
    code = f"egress-{subject}"
    if not reached:
        return ok(code, f"A kernel reaches {what}.")
    return error(code, f"A kernel was to reach {what}, and reaches {', '.join(reached)}.", fix)
