"""What a way of opening asks of its hub, and what that costs the hub."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Self

from benchmarks.story.parts import cpu_of
from tests.support.real_hub import RealHub

_CALL = re.compile(rb"\] \d{3} ([A-Z]+) (?:/user/[^/ ]+)?/hub/api(\S*) \((?:inset-[0-9a-f]{4}|host)@")
"""A line of the hub's log about a call with the service's own token, after which it is named: servers call, too."""
_LISTINGS = ("/users", "/groups", "/proxy")


@dataclass(frozen=True)
class Asked:
    """Of one hub, from one moment to another."""

    calls: Counter[str]
    cpu: float
    """Seconds."""

    @property
    def count(self) -> int:
        return self.calls.total()

    @property
    def listings(self) -> int:
        """How often all users were listed."""
        return sum(number for call, number in self.calls.items() if call.split(" ")[1] in _LISTINGS)


@dataclass(frozen=True)
class Meter:
    """Reads the hub's log and its processor time from now on."""

    hub: RealHub
    size: int
    cpu: float

    @classmethod
    def of(cls, hub: RealHub) -> Self:
        return cls(hub, hub.log_file.stat().st_size, cpu_of(hub))

    def read(self) -> Asked:
        """Tell what has been asked since."""
        lines = self.hub.log_file.read_bytes()[self.size :]
        calls = Counter(f"{method.decode()} {_template(path.decode())}" for method, path in _CALL.findall(lines))
        return Asked(calls, cpu_of(self.hub) - self.cpu)


def _template(path: str) -> str:
    path = path.partition("?")[0]
    return re.sub(r"^/users/[^/]+", "/users/{name}", path)
