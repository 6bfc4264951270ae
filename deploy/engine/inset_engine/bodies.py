"""What a seat's container may be: the body of `POST /containers/create`, by a list of what it may say.

A body is never passed on. What the list knows is copied into a new one, and anything else that says something is
refused: the engine would read `hostconfig` as `HostConfig`, and the last of two equal names, which checks overlook.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Check = Callable[[Any], bool]

_NOBODY = re.compile(r"[1-9][0-9]{0,8}:[1-9][0-9]{0,8}")
_PORT = re.compile(r"[0-9]{1,5}/tcp")
_LABEL = re.compile(r"inset\.[a-z.-]{1,64}")
_FOLDER = re.compile(r"(/[A-Za-z0-9._-]+)+")
_TMPFS_OPTIONS = re.compile(r"[a-z0-9=,]*")
_SIZE = re.compile(r"[0-9]{1,9}[kmg]?", re.IGNORECASE)


NO_RESOLVER = "127.0.0.1"
"""The one resolver that a container may name: itself, where none listens."""


class Refused(Exception):
    """What is refused, and by which word of it."""


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
        return bool(re.fullmatch(rf"{re.escape(self.prefix)}-seat-(2d)?[0-9]{{3}}(--[a-z0-9-]{{1,64}})?", name))

    def body(self, name: str, asked: Any) -> dict[str, Any]:
        """Make the body that the engine is given for a container of this name. Raises `Refused`."""
        body = _copied(_mapping(asked, "the body"), self._container, "")
        host_config = _mapping(body.get("HostConfig"), "HostConfig")
        body["HostConfig"] = host = _copied(host_config, self._host(name), "HostConfig.")
        for name, needed in (("Image", body), *((name, host) for name in _NEEDED)):
            if name not in needed:
                raise Refused(f"{name} is needed")
        mounted = {bind.split(":")[1] for bind in host.get("Binds", [])}
        if not set(body.get("Volumes", {})) <= mounted | self.writable:
            raise Refused("Volumes")
        return body

    @property
    def _container(self) -> Mapping[str, Check]:
        return {
            "Image": lambda image: isinstance(image, str) and image in self.images,
            "User": _matches(_NOBODY),
            "Cmd": _texts,
            "Env": _texts,
            "ExposedPorts": lambda ports: _each(ports, _PORT, lambda value: not value),
            "Labels": lambda labels: _each(labels, _LABEL, lambda value: isinstance(value, str)),
            "Volumes": lambda volumes: _each(volumes, _FOLDER, lambda value: value == {}),
            "AttachStdout": _is(True),
            "AttachStderr": _is(True),
            "StopTimeout": _up_to(600),
            "HostConfig": lambda value: isinstance(value, dict),
        }

    def _host(self, name: str) -> Mapping[str, Check]:
        return {
            "NetworkMode": lambda value: value in (self.network, name),
            "Dns": _is([NO_RESOLVER]),
            "CapDrop": _is(["ALL"]),
            "SecurityOpt": lambda value: value in (["no-new-privileges"], ["no-new-privileges:true"]),
            "AutoRemove": _is(True),
            "Init": _is(True),
            "ReadonlyRootfs": _is(True),
            "Memory": _up_to(1 << 50),
            "MemoryReservation": _up_to(1 << 50),
            "MemorySwap": _up_to(1 << 50),
            "NanoCpus": _up_to(1 << 40),
            "CpuQuota": _up_to(1 << 40),
            "CpuPeriod": _up_to(1_000_000),
            "CpuShares": _up_to(1 << 18),
            "PidsLimit": _up_to(1 << 22),
            "ShmSize": _up_to(1 << 40),
            "StorageOpt": lambda value: _each(value, re.compile("size"), _matches(_SIZE)),
            "Tmpfs": lambda value: _each(value, _FOLDER, _matches(_TMPFS_OPTIONS)),
            "Binds": lambda binds: _texts(binds) and all(map(self._readable, binds)),
        }

    def _readable(self, bind: str) -> bool:
        volume, _, rest = bind.partition(":")
        folder, _, mode = rest.partition(":")
        # A name: what begins with a slash or a dot is a folder of the host to the engine.
        return volume in self.volumes and bool(_FOLDER.fullmatch(folder)) and mode == "ro"


_NEEDED = ("NetworkMode", "CapDrop", "SecurityOpt", "Memory", "PidsLimit")


def _copied(asked: Mapping[str, Any], allowed: Mapping[str, Check], where: str) -> dict[str, Any]:
    copied = {}
    for name, value in asked.items():
        # What says nothing is left out: the engine's own defaults are what an empty container gets.
        if value is None or value is False or value in ("", [], {}):
            continue
        if name not in allowed or not allowed[name](value):
            raise Refused(f"{where}{name}")
        copied[name] = value
    return copied


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(name)
    return value


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _each(value: Any, name: re.Pattern[str], check: Check) -> bool:
    return isinstance(value, dict) and all(name.fullmatch(key) and check(item) for key, item in value.items())


def _is(wanted: object) -> Check:
    return lambda value: type(value) is type(wanted) and value == wanted


def _up_to(most: int) -> Check:
    return lambda value: type(value) is int and 0 < value <= most


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))
