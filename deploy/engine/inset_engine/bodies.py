"""What a seat's container may be: the body of `POST /containers/create`, by a list of what it may say.

A body is never passed on. What the list knows is copied into a new one, and anything else that says something is
refused: the engine would read `hostconfig` as `HostConfig`, and the last of two equal names, which checks overlook.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inset_engine.checks import (
    FOLDER,
    NO_RESOLVER,
    NOBODY,
    Check,
    Refused,
    copied,
    each,
    exactly,
    is_mapping,
    mapping,
    matches,
    needed,
    texts,
    up_to,
)

_PORT = re.compile(r"[0-9]{1,5}/tcp")
_LABEL = re.compile(r"inset\.[a-z.-]{1,64}")
_TMPFS_OPTIONS = re.compile(r"[a-z0-9=,]*")
_SIZE = re.compile(r"[0-9]{1,9}[kmg]?", re.IGNORECASE)


@dataclass(frozen=True)
class Seats:
    """The containers that the hub may have."""

    network: str
    """The one network they join, unless they have one of their own, named as they are."""
    prefix: str
    """What their names begin with."""
    images: frozenset[str]
    """What they may be made of, as the hub names it."""
    reach: frozenset[str] = frozenset()
    """What may be connected to a network of their own: containers by name, or services of this Compose project."""
    volumes: frozenset[str] = frozenset()
    """The engine's own volumes that they may read. No folder of the host is ever one."""
    writable: frozenset[str] = frozenset({"/home/notebook", "/tmp"})
    """Where a container may have a nameless volume, which goes with it."""

    def named(self, name: str) -> bool:
        """Tell whether a container of this name is a seat's; DockerSpawner writes `seat-001` as `seat-2d001`."""
        return bool(re.fullmatch(rf"{re.escape(self.prefix)}-seat-(2d)?[0-9]{{3,4}}(--[a-z0-9-]{{1,64}})?", name))

    def body(self, name: str, asked: Any) -> dict[str, Any]:
        """Make the body that the engine is given for a container of this name. Raises `Refused`."""
        body = copied(mapping(asked, "the body"), self._container, "")
        host_config = mapping(body.get("HostConfig"), "HostConfig")
        body["HostConfig"] = host = copied(host_config, self._host(name), "HostConfig.")
        needed(body, "", ["Image"])
        needed(host, "", _NEEDED)
        mounted = {bind.split(":")[1] for bind in host.get("Binds", [])}
        if not set(body.get("Volumes", {})) <= mounted | self.writable:
            raise Refused("Volumes")
        return body

    @property
    def _container(self) -> Mapping[str, Check]:
        return {
            "Image": lambda image: isinstance(image, str) and image in self.images,
            "User": matches(NOBODY),
            "Cmd": texts,
            "Env": texts,
            "ExposedPorts": lambda ports: each(ports, _PORT, lambda value: not value),
            "Labels": lambda labels: each(labels, _LABEL, lambda value: isinstance(value, str)),
            "Volumes": lambda volumes: each(volumes, FOLDER, lambda value: value == {}),
            "AttachStdout": exactly(True),
            "AttachStderr": exactly(True),
            "StopTimeout": up_to(600),
            "HostConfig": is_mapping,
        }

    def _host(self, name: str) -> Mapping[str, Check]:
        return {
            "NetworkMode": lambda value: value in (self.network, name),
            "Dns": exactly([NO_RESOLVER]),
            "CapDrop": exactly(["ALL"]),
            "SecurityOpt": lambda value: value in (["no-new-privileges"], ["no-new-privileges:true"]),
            "AutoRemove": exactly(True),
            "Init": exactly(True),
            "ReadonlyRootfs": exactly(True),
            "Memory": up_to(1 << 50),
            "MemoryReservation": up_to(1 << 50),
            "MemorySwap": up_to(1 << 50),
            "NanoCpus": up_to(1 << 40),
            "CpuQuota": up_to(1 << 40),
            "CpuPeriod": up_to(1_000_000),
            "CpuShares": up_to(1 << 18),
            "PidsLimit": up_to(1 << 22),
            "ShmSize": up_to(1 << 40),
            "StorageOpt": lambda value: each(value, re.compile("size"), matches(_SIZE)),
            "Tmpfs": lambda value: each(value, FOLDER, matches(_TMPFS_OPTIONS)),
            "Binds": lambda binds: texts(binds) and all(map(self._readable, binds)),
        }

    def _readable(self, bind: str) -> bool:
        volume, _, rest = bind.partition(":")
        folder, _, mode = rest.partition(":")
        # A name: what begins with a slash or a dot is a folder of the host to the engine.
        return volume in self.volumes and bool(FOLDER.fullmatch(folder)) and mode == "ro"


_NEEDED = ("NetworkMode", "CapDrop", "SecurityOpt", "Memory", "PidsLimit")
