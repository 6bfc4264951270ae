"""The section of `docs/load.md` on sessions: what was measured, and how."""

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HEAD = """# A thousand sessions, measured

`make bench-sessions` measures this and writes this section. Two replicas as processes, PostgreSQL, and a real
JupyterHub whose spawner starts nothing: each session was opened by `POST /v1/sessions` of a user of its own, has a
server of its own at the hub, and is followed by an event stream all the while. Beside it a second deployment of the
same kind stays at {first} sessions. Calls were made of both by turns, in {rounds} rounds at each size after some that
don't count, so that other work on the machine disturbs both; the last column is the quotient of their medians at
{last} sessions, in the same minutes. With {first} sessions in either, medians of short calls differed by {noise} at
the most: what differs by less is noise.

{processors} processors, {system}, Python {python}; clients, hubs, databases and all replicas share them. Load average
{before:.1f} when it began, {at_sizes} at the ends of the sizes.

"""


@dataclass
class Calls:
    """Calls of one kind, of one deployment at one size."""

    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0
    """Seconds that the replicas have computed for all of them."""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def late(self) -> float:
        """The 95th percentile."""
        return statistics.quantiles(self.seconds, n=20)[-1]

    @property
    def each(self) -> float:
        """Seconds of the replicas' processor time for one."""
        return self.cpu / len(self.seconds)


@dataclass(frozen=True)
class Growth:
    """How so many more sessions were opened."""

    count: int
    seconds: float
    until_ready: Sequence[float]
    replicas: float
    """Seconds that both replicas computed for each."""
    hub: float
    """Seconds that the hub computed for each."""


@dataclass(frozen=True)
class Idle:
    """What is computed while nothing happens, as shares of one processor."""

    replicas: float
    hub: float


@dataclass(frozen=True)
class Size:
    """What was found with so many sessions."""

    count: int
    growth: Growth
    idle: Idle
    grown: dict[str, Calls]
    small: dict[str, Calls]
    """At the same time, of the deployment that stays as it is."""
    memory: int
    memory_of_hub: int
    load: float


@dataclass
class Report:
    """What was measured, to be printed or written."""

    rounds: int
    at_once: int
    noise_of: Sequence[str]
    """Kinds of calls that are asked often enough for their noise to be told."""
    before: float
    """The load before it began."""
    sizes: list[Size] = field(default_factory=list)
    closed_in: float = 0.0
    """Seconds until all were closed."""

    def write(self, file: Path) -> None:
        """Put this section in the place of the file's first."""
        _, heading, others = file.read_text().partition("\n## ")
        file.write_text(self.section() + heading + others)

    def section(self) -> str:
        """Give all of it, as Markdown."""
        first, last = self.sizes[0], self.sizes[-1]
        noise = max(abs(first.grown[kind].median / first.small[kind].median - 1) for kind in self.noise_of)
        head = _HEAD.format(
            first=f"{first.count:,}", last=f"{last.count:,}", rounds=self.rounds, noise=f"{noise:.0%}",
            processors=os.cpu_count(), system=platform.system(), python=platform.python_version(),
            before=self.before, at_sizes=", ".join(f"{size.load:.1f}" for size in self.sizes),
        )  # fmt: skip
        each = (last.memory - first.memory) / max(last.count - first.count, 1)
        opened, took = sum(size.growth.count for size in self.sizes), sum(size.growth.seconds for size in self.sizes)
        tail = (
            f"\n{opened:,} sessions were opened in {took:.0f} s, {self.at_once} at a time, and closed in "
            f"{self.closed_in:.0f} s. **Errors 0**: no call was answered with one, no session failed, no stream was "
            f"cut. A session with its event stream costs {each / 1024:.0f} KiB of the replicas' memory.\n"
        )
        return head + self.table() + tail

    def table(self) -> str:
        """Give the table, as Markdown."""
        first, last = self.sizes[0], self.sizes[-1]
        counts = " | ".join(f"{size.count:,}" for size in self.sizes)
        names = f"{last.count:,} to {first.count:,}", f"{last.count:,} beside {first.count:,}"
        lines = [
            f"| sessions open | {counts} | {names[0]} | {names[1]} |",
            "| --- |" + " ---: |" * (len(self.sizes) + 2),
        ]
        for kind in first.grown:
            median, late, cpu = (lambda calls: calls.median), (lambda calls: calls.late), (lambda calls: calls.each)
            for label, of in ((f"{kind}: median", median), ("… 95 %", late), ("… the replicas' processor time", cpu)):
                beside = of(last.grown[kind]) / of(last.small[kind])
                lines.append(self._line(label, lambda size, of=of, kind=kind: of(size.grown[kind]), _ms, beside))
        lines += [
            self._line("nothing happens: both replicas take of a core", lambda size: size.idle.replicas, _percent),
            self._line("… the hub takes of another", lambda size: size.idle.hub, _percent),
            self._line("both replicas' memory", lambda size: size.memory / 1e6, _mb),
            self._line("the hub's memory", lambda size: size.memory_of_hub / 1e6, _mb),
            self._line("up to here, opened a second", lambda size: size.growth.count / size.growth.seconds, _plain),
            self._line("… until one was ready: median", lambda size: statistics.median(size.growth.until_ready), _ms),
            self._line("… the replicas' processor time for each", lambda size: size.growth.replicas, _ms),
            self._line("… the hub's processor time for each", lambda size: size.growth.hub, _ms),
        ]
        return "\n".join([*lines, ""])

    def _line(
        self, label: str, of: Callable[[Size], float], written: Callable[[float], str], beside: float | None = None
    ) -> str:
        values = [of(size) for size in self.sizes]
        cells = [*map(written, values), f"{values[-1] / values[0]:.2f}", f"{beside:.2f}" if beside else ""]
        return f"| {label} | {' | '.join(cells)} |"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.02 else f"{seconds * 1000:,.0f} ms"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _mb(megabytes: float) -> str:
    return f"{megabytes:.0f} MB"


def _plain(number: float) -> str:
    return f"{number:.1f}"
