"""Profiles: the kinds of server that an operator offers, in one file that the hub and the service read.

The service decides which of them a session has, and sends its name. What that means for a server stands here.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from jupyterhub.spawner import Spawner
from pydantic import AfterValidator, BaseModel, ByteSize, Field

from inset_hub import data_policy, seats

DEFAULT = "default"
RESERVED = re.compile(
    r"(?i)(inset|jupyter|jpy|notebook_|python|pip_|ld_|dyld_|glibc_|malloc_|gconv_|openssl_|ssl_|ssl|curl_|requests_|"
    r"git_|xdg_|bash_|docker_).*|.*_proxy|path|home|user|logname|shell|env|ifs|netrc|tmpdir|mem_limit|cpu_limit"
)
"""What no host sets, whatever a profile allows; the service has the same rule."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def _absolute(path: str) -> str:
    if not path.startswith("/") or ":" in path or path.rstrip("/") in ("", "/proc", "/sys", "/dev"):
        raise ValueError(f"{path!r} is no place in a container for it: write an absolute path")
    return path


def _powerless(user: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", user):
        raise ValueError("write numbers, as in '1000:1000'; neither may be 0, which is root")
    return user


_Place = Annotated[str, AfterValidator(_absolute)]
_Bytes = Annotated[ByteSize, Field(ge=1)]


class Mount(BaseModel, extra="forbid", frozen=True):
    """Data that its servers may read and never write."""

    source: str = Field(min_length=1)
    """A folder or file of the machine (an absolute path), or the name of a volume."""

    target: _Place
    """Where it is in the container."""


class Profile(BaseModel, extra="forbid", frozen=True):
    """One kind of server."""

    title: str = ""
    """What it is for, in the operator's words."""

    image: str = ""
    """`INSET_DOCKER_IMAGE` if it says nothing."""

    network: str = ""
    """`INSET_DOCKER_NETWORK` if it says nothing. The hub must be on it, too."""

    user: Annotated[str, AfterValidator(_powerless)] = "1000:1000"
    """The uid and gid of everything in the server."""

    home: _Place = "/home/notebook"
    """The image's folder for that user, where notebooks lie."""

    cpu: float | None = Field(default=None, gt=0)
    """How many cores it may use, as in 1.5; `INSET_SEAT_CPU` if it says nothing."""

    memory: _Bytes | None = None
    """How much memory, with all its kernels; `INSET_SEAT_MEMORY` if it says nothing. Nothing is swapped."""

    pids: int = Field(default=256, ge=32)
    """How many processes and threads; `INSET_SEAT_PIDS` if it says nothing."""

    disk: _Bytes | None = None
    """How much it may write: into each of its home and `/tmp` (tmpfs), or altogether (storage-opt).

    `INSET_SEAT_DISK` if it says nothing.
    """

    disk_by: Literal["tmpfs", "storage-opt"] = "tmpfs"
    """What bounds that: a file system in memory, which counts as memory too, or the engine's quota, which takes
    overlay2 on XFS with `pquota` (or btrfs, or zfs) and leaves the root writable."""

    read_only: bool = True
    """Whether only its home and `/tmp` can be written to."""

    environment: dict[str, str] = {}
    """Variables for all its servers."""

    mounts: tuple[Mount, ...] = ()
    """Data to read."""

    allow_environment: tuple[str, ...] = ()
    """Patterns of the names that a host may set."""

    idle_timeout: timedelta | None = None
    max_age: timedelta | None = None
    """The service's: how long its sessions last."""

    places: int | None = Field(default=None, ge=1)
    """The service's: how many servers of it there may be at once."""


_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class _File(BaseModel, extra="forbid"):
    profiles: dict[_Name, dict[str, Any]] = {}


class _Profiles(BaseModel):
    profiles: dict[str, Profile]


def read(file: str, **otherwise: object) -> dict[str, Profile]:
    """Read the operator's file, if one is named; `otherwise` holds for all profiles that say nothing of their own.

    Raises `OSError`, or `ValueError` for a file that can't be used: a misspelt limit must not be no limit.
    """
    told = _File.model_validate(tomllib.loads(Path(file).read_text()) if file else {}).profiles
    full = {name: {**otherwise, **profile} for name, profile in {DEFAULT: {}, **told}.items()}
    return _Profiles.model_validate({"profiles": full}).profiles


def applying(
    profiles: Mapping[str, Profile], environment: Mapping[str, str]
) -> Callable[[Spawner, dict[str, Any]], None]:
    """Give what makes a spawner start the server that the service means; `environment` is every server's.

    It raises ValueError, which JupyterHub answers with 400, for a profile or a variable that is not in the file, and
    `SpawnException` for a data policy that the spawner can't keep a server to.
    """

    def apply_user_options(spawner: Spawner, user_options: dict[str, Any]) -> None:
        name = user_options.get("profile", DEFAULT)
        profile = profiles.get(name) if isinstance(name, str) else None
        if profile is None:
            raise ValueError("user_options.profile is not in the hub's INSET_PROFILES_FILE")
        given = user_options.get("environment", {})
        _check_environment(given, profile.allow_environment)
        identity = seats.identity(user_options)
        spawner.environment = {**profile.environment, **given, **environment, **identity}
        spawner.apply_profile(profile)
        spawner.apply_data_policy(data_policy.of(user_options))

    return apply_user_options


def _check_environment(given: object, patterns: tuple[str, ...]) -> None:
    if not isinstance(given, dict) or not all(isinstance(value, str) and "\0" not in value for value in given.values()):
        raise ValueError("user_options.environment is no environment")
    for name in given:
        allowed = _VARIABLE.fullmatch(name) and any(fnmatchcase(name, pattern) for pattern in patterns)
        if not allowed or RESERVED.fullmatch(name):
            raise ValueError(f"user_options.environment: {name!r} is not allowed in this profile")
