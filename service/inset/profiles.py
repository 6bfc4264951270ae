"""The profiles that an operator offers, read from one file that the hub reads too.

The hub takes from it what a server gets (image, limits, mounts), and refuses a file with a word that nobody knows.
The service takes what it decides itself: what a host may put into the environment, and how long a session lasts.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from inset.errors import EnvironmentNotAllowed, UnknownProfile
from inset.settings import Duration

DEFAULT = "default"
"""The profile that is always there. The file may say what it is."""

RESERVED = re.compile(
    r"(?i)(inset|jupyter|jpy|notebook_|python|pip_|ld_|dyld_|glibc_|malloc_|gconv_|openssl_|ssl_|ssl|curl_|requests_|"
    r"git_|xdg_|bash_|docker_).*|.*_proxy|path|home|user|logname|shell|env|ifs|netrc|tmpdir|mem_limit|cpu_limit"
)
"""What no host sets, whatever a profile allows: it would steer the server itself, its way to the hub, or its tools."""


class Profile(BaseModel, frozen=True):
    """One kind of server, as far as the service is concerned."""

    allow_environment: tuple[str, ...] = ()
    """Patterns of the names that a host may set, as in `PLATFORM_*`."""

    idle_timeout: Duration | None = None
    """After how long without activity its sessions end; `INSET_IDLE_TIMEOUT` if it says nothing."""

    max_age: Duration | None = None
    """How long its sessions last at the most; `INSET_MAX_AGE` if it says nothing."""

    places: int | None = Field(default=None, ge=1)
    """How many servers of it there may be at once, of all host applications. Further sessions wait."""


class _File(BaseModel):
    profiles: dict[str, Profile] = {}


class _Told(BaseModel):
    profiles: dict[str, dict[str, Any]] = {}


class Profiles:
    """All of them, and how long sessions last where they say nothing."""

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        *,
        idle_timeout: timedelta,
        max_age: timedelta | None = None,
        told: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """`told` is all that the file says of each, the hub's part too."""
        self._told = told or {}
        self._profiles = {DEFAULT: Profile(), **profiles}
        self._idle_timeout = idle_timeout
        self._max_age = max_age

    @property
    def places(self) -> Sequence[tuple[str, int]]:
        """Give the profiles whose servers are bounded, each with how many there may be."""
        return [(name, profile.places) for name, profile in self._profiles.items() if profile.places]

    def choose(self, wanted: str | None, allowed: Sequence[str]) -> str:
        """Give the profile that a host wants, or the first of those it may have. Raises `UnknownProfile`."""
        offered = [name for name in allowed if name in self._profiles]
        name = wanted or next(iter(offered), DEFAULT)
        if name not in offered:
            raise UnknownProfile(name, offered)
        return name

    def check_environment(self, name: str, environment: Mapping[str, str]) -> None:
        """Raise `EnvironmentNotAllowed` unless a host may set all of these in a profile."""
        patterns = self._of(name).allow_environment
        refused = [
            variable
            for variable in environment
            if RESERVED.fullmatch(variable) or not any(fnmatchcase(variable, pattern) for pattern in patterns)
        ]
        if refused:
            raise EnvironmentNotAllowed(refused, patterns)

    def idle_timeout(self, name: str, *, host: timedelta | None) -> timedelta:
        """Say after how long without activity a server is idle; `host` is the most that its host application allows."""
        own = self._of(name).idle_timeout or self._idle_timeout
        return min(own, host) if host else own

    def max_age(self, name: str, *, host: timedelta | None) -> timedelta | None:
        """Say how long a session lasts at the most; None for as long as it likes."""
        own = self._of(name).max_age or self._max_age
        return min(own, host) if own and host else own or host

    def made_of(self, name: str) -> str:
        """Give a hash of all that the file says of a profile: a server of another one is none of this profile now."""
        text = json.dumps(self._told.get(name, {}), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def __contains__(self, name: str) -> bool:
        return name in self._profiles

    def _of(self, name: str) -> Profile:
        # One that has left the file may still have servers.
        return self._profiles.get(name) or self._profiles[DEFAULT]


def read_profiles(file: Path | None, *, idle_timeout: timedelta, max_age: timedelta | None = None) -> Profiles:
    """Read the operator's file, if there is one. Raises `OSError`, or `ValueError` for a file that can't be used."""
    told = tomllib.loads(file.read_text()) if file else {}
    profiles, in_full = _File.model_validate(told).profiles, _Told.model_validate(told).profiles
    return Profiles(profiles, idle_timeout=idle_timeout, max_age=max_age, told=in_full)
