"""What the service's own path takes: processor time of each hot request beside a trivial FastAPI app and a bare one.

`make bench-requests` prints it. All are asked in turns over kept connections, so that what disturbs one disturbs all.
Processor time is that of the server's process, its threads included, as Linux counts it.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.notebook_histories import canonical, synthetic
from benchmarks.serving import Inset, Server, plain_app
from benchmarks.store_pressure import waits
from benchmarks.store_times import new, save

ROUNDS = 11
SIZES = {"10 KB": 10_000, "1 MB": 1_000_000, "10 MB": 10_000_000}
REQUESTS = {"10 KB": 20, "1 MB": 5, "10 MB": 1}
SMALL = 50
"""Small requests in a turn."""
TRIVIAL, BARE = "trivial FastAPI endpoint", "bare ASGI app"

Ask = Callable[[], object]


def main() -> None:
    """Measure, and print the tables."""
    given = _given()
    with tempfile.TemporaryDirectory(dir=given.folder) as name, ExitStack() as stack:
        inset = stack.enter_context(Inset(Path(name) / "inset").serving())
        apps = {
            TRIVIAL: (stack.enter_context(plain_app("trivial")), "/trivial/1"),
            BARE: (stack.enter_context(plain_app("bare")), "/"),
        }
        asked = [(label, app, SMALL, _get(app, path)) for label, (app, path) in apps.items()]
        asked += [(label, inset, count, ask) for label, count, ask in _hot(inset)]
        _print_times(_measured(asked, given.rounds))
        for wait in waits(inset, 10_000_000, given.saves_beside, writers=given.writers):
            print(f"{wait.label}: p50 {wait.p50:.2f} ms, p99 {wait.p99:.2f}, longest {wait.longest:.2f}")


def _hot(inset: Server) -> list[tuple[str, int, Ask]]:
    call = inset.caller()
    hot = [("healthz", SMALL, _get(inset, "/healthz"))]
    hot += [("notebook's metadata", SMALL, _get(inset, f"/v1/notebooks/{new(call)}"))]
    for label, size in SIZES.items():
        saving = _Saving(inset, size)
        hot.append((f"save of {label}", REQUESTS[label], saving.save))
        hot.append((f"load of {label}", REQUESTS[label], _get(inset, f"/v1/notebooks/{saving.id}/content")))
    return hot


class _Saving:
    """A notebook that is saved again and again with one cell changed."""

    def __init__(self, inset: Server, size: int) -> None:
        self._call, notebook = inset.caller(), synthetic(size)
        self.id, self._saved = new(self._call), 1
        self._contents = []
        for number in range(4):
            notebook.cells[number].source += f"\n# {number}"
            self._contents.append(canonical(notebook))
        self.save()

    def save(self) -> None:
        save(self._call, self.id, self._contents[self._saved % len(self._contents)], self._saved)
        self._saved += 1


def _get(server: Server, path: str) -> Ask:
    call = server.caller()
    return lambda: call("GET", path)


def _measured(asked: list[tuple[str, Server, int, Ask]], rounds: int) -> dict[str, list[float]]:
    """Give the processor time of a request in milliseconds, by what was asked, for each round but the first."""
    took: dict[str, list[float]] = {label: [] for label, *_ in asked}
    for turn in range(rounds + 1):
        for label, server, count, ask in asked if turn % 2 else reversed(asked):
            begin = _processor_time(server)
            for _ in range(count):
                ask()
            if turn:
                took[label].append((_processor_time(server) - begin) / count * 1000)
    return took


def _processor_time(server: Server) -> float:
    # Another process's clock, by the number that Linux has for it (`man clock_getcpuclockid`).
    return time.clock_gettime((~server.pid << 3) | 2)


def _print_times(took: dict[str, list[float]]) -> None:
    print(f"| request | ms of processor time | × {TRIVIAL} | × {BARE} |\n| --- | ---: | ---: | ---: |")
    for label, times in took.items():
        ratios = [statistics.median(map(float.__truediv__, times, took[other])) for other in (TRIVIAL, BARE)]
        print(f"| {label} | {statistics.median(times):.3f} | {ratios[0]:.2f} | {ratios[1]:.1f} |")


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--writers", type=int, default=10, help="that save 10 MB beside small requests")
    parser.add_argument("--saves-beside", type=int, default=8, help="times 100 small requests, about")
    parser.add_argument("--folder", type=Path, help="where the database is made, and removed; a disk, not memory")
    return parser.parse_args()


if __name__ == "__main__":
    main()
