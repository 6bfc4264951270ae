"""The report on the request path: what was measured, how, what it was to be, what did not help, what is left."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.event_streams import Idle
from benchmarks.starts import TRIVIAL_APP, Start
from benchmarks.store_pressure import Waits

_STARTS = ("clock", "processor")
TRIVIAL, BARE = "trivial FastAPI endpoint", "bare ASGI app"

_HEAD = """# The request path, measured

`make bench-requests` writes this page. {processors} processors, {system}, Python {python}. Load {before:.1f} when it
began and {after:.1f} when it ended: what others do at the same time makes all figures larger, ratios less so.

## Processor time of a request

That of the service's process, its threads included, as Linux counts it, on kept connections: authentication, database,
metrics and the line in the log are in it. All kinds are asked in turns. Medians of {rounds} rounds, in ms;
in brackets what a ratio was to be at most.

"""

_TAIL = """
## What was tried and did not help

- **A log record without its thread, process and caller**: a line's 14.0 µs become 11.3, which is within the noise of a
  whole request.
- **Not asking for a host application's registration** with each request, but for some seconds remembering it: it is the
  second statement of a transaction that is there anyway, 8 µs on SQLite, and a key that is retired or a user who is
  revoked is refused with the next request.

## Where the rest of the time goes

Calls of Python functions of metadata on SQLite, 449 in all (926 before `docs/decisions/0038`): 171 find out
who calls, in a transaction that begins for it (198); 44 read the notebook (48); 65 write the log's line (65); 124 are
what `/healthz` takes too, the layers from the app to the route and the answer (585, for the longest search of all for a
route); 45 are other dependencies.
On PostgreSQL each of `BEGIN`, the two statements and `COMMIT` is a way to the server and back.
`docs/decisions/0038-request-path-from-the-socket.md` says what was changed.
"""


@dataclass(frozen=True)
class Report:
    """What was measured, to be printed or written."""

    took: Mapping[str, Sequence[float]]
    """Milliseconds of processor time by what was asked, a figure for each round."""
    most: Mapping[str, float]
    """What was to be how many times a trivial endpoint's at most."""
    waits: Sequence[Sequence[Waits]]
    """Beside nothing and beside saves, for each number of writers."""
    streams: Sequence[Idle]
    starts: Mapping[str, Sequence[Start]]
    """By what was started."""
    before: float
    """The load before it began."""

    def write(self, file: Path) -> None:
        """Write the page."""
        head = _HEAD.format(
            processors=os.cpu_count(), system=platform.system(), python=platform.python_version(), before=self.before,
            after=os.getloadavg()[0], rounds=len(next(iter(self.took.values()))),
        )  # fmt: skip
        file.write_text(head + self.tables() + _TAIL)

    def tables(self) -> str:
        """Give the tables, as Markdown."""
        return self._times() + self._waits() + self._streams() + self._starts()

    def _times(self) -> str:
        lines = [f"| request | ms of processor time | × {TRIVIAL} | × {BARE} |", "| --- | ---: | ---: | ---: |"]
        for label, times in self.took.items():
            trivial, bare = (
                statistics.median(map(float.__truediv__, times, self.took[other])) for other in (TRIVIAL, BARE)
            )
            bound = f" ({self.most[label]:g})" if label in self.most else ""
            lines.append(f"| {label} | {statistics.median(times):.3f} | {trivial:.2f}{bound} | {bare:.1f} |")
        return "\n".join(lines) + "\n"

    def _waits(self) -> str:
        lines = [
            "\n## Beside large saves\n",
            "A process of its own asks for a notebook's metadata every 5 ms. Its p99 beside saves was to be at most",
            "3 times that beside nothing. By the clock, in ms:\n",
            "| | requests | p50 | p99 | longest | p99 / beside nothing |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for idle, wait in [(waits[0], wait) for waits in self.waits for wait in waits]:
            ratio = wait.p99 / idle.p99
            figures = f"{wait.p50:.2f} | {wait.p99:.2f} | {wait.longest:.2f} | {ratio:.2f}"
            lines.append(f"| {wait.label} | {wait.requests} | {figures} |")
        return "\n".join(lines) + "\n"

    def _streams(self) -> str:
        if not self.streams:
            return ""
        lines = [
            "\n## Idle event streams\n",
            "What 1,000 were to cost at most: 60 MB, and 2 % of a processor.\n",
            "| streams | MB | share of a processor | without any |",
            "| --- | ---: | ---: | ---: |",
        ]
        for idle in self.streams:
            figures = f"{idle.megabytes:.1f} | {idle.share:.1%} | {idle.without:.1%}"
            lines.append(f"| {idle.streams:,} {idle.label} | {figures} |")
        return "\n".join(lines) + "\n"

    def _starts(self) -> str:
        lines = [
            "\n## Starting\n",
            "From the command to the first answer. The service's was to take one second at most.\n",
            "| | s by the clock | s of processor time | × trivial FastAPI app |",
            "| --- | ---: | ---: | ---: |",
        ]
        for label, took in self.starts.items():
            clock, processor = (statistics.median(getattr(each, what) for each in took) for what in _STARTS)
            pairs = zip(took, self.starts[TRIVIAL_APP], strict=True)
            ratio = statistics.median(each.processor / other.processor for each, other in pairs)
            lines.append(f"| {label} | {clock:.2f} | {processor:.2f} | {ratio:.2f} |")
        return "\n".join(lines) + "\n"
