"""What a start takes, until the first answer: the service's on SQLite beside a trivial FastAPI app's, in turns."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.serving import Inset, plain_app

TRIVIAL_APP, SERVICE = "trivial FastAPI app", "inset serve, SQLite"


@dataclass(frozen=True)
class Start:
    """One start, in seconds."""

    clock: float
    processor: float


def starts(inset: Inset, rounds: int) -> Mapping[str, Sequence[Start]]:
    """Start each so many times. No hub answers the service, whose start asks one."""
    ways = {TRIVIAL_APP: (lambda: plain_app("trivial"), "/trivial/1"), SERVICE: (inset.serving, "/healthz")}
    took: dict[str, list[Start]] = {label: [] for label in ways}
    for turn in range(rounds + 1):
        for label, (serve, path) in ways.items():
            begin = time.monotonic()
            with serve() as server:
                server.caller()("GET", path)
                start = Start(time.monotonic() - begin, server.processor_time())
            if turn:  # the first has them read from the disk
                took[label].append(start)
    return took
