"""Does any request take more than in the last release? `make bench-check` says so, and fails if one does.

Both releases are asked the same on one machine, one after the other. What is compared are the calls of Python functions
that an answer takes (`counted.py`), the least of several: other work on the machine doesn't change them.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.notebook_histories import canonical, synthetic
from benchmarks.serving import Inset, Server
from benchmarks.store_times import new
from tests.upgrade.previous import install

BOUND = 1.05
"""How many times as many calls an answer may take as in the last release."""
TIMES = 7

Counted = dict[str, int]


@dataclass(frozen=True)
class Compared:
    """What one kind of request takes, in calls of Python functions."""

    label: str
    last: int
    now: int

    @property
    def ratio(self) -> float:
        """How many times as many as in the last release."""
        return self.now / self.last


def main() -> None:
    """Count, print, and exit with 1 if a request takes more than it may."""
    given = _given()
    with tempfile.TemporaryDirectory() as name:
        compared = compare(Path(name))
    print("| request | calls, last release | calls, now | now / last |\n| --- | ---: | ---: | ---: |")
    for each in compared:
        print(f"| {each.label} | {each.last:,} | {each.now:,} | {each.ratio:.2f} |")
    if worse := [each.label for each in compared if each.ratio > given.bound]:
        sys.exit(f"More than {given.bound} times as many calls as in the last release: {', '.join(worse)}.")


def compare(folder: Path) -> list[Compared]:
    """Count in both releases, each on a database of its own below the folder."""
    last = _counted(folder / "last", install(folder / "code"))
    now = _counted(folder / "now", {})
    return [Compared(label, last[label], now[label]) for label in now]


def _counted(folder: Path, environment: Mapping[str, str]) -> Counted:
    """Give the calls of each kind of request, of the release that the environment leads to."""
    with Inset(folder, environment).serving("benchmarks.counted") as inset:
        return {label: _least(ask) for label, ask in _asked(inset).items()}


def _least(ask: Callable[[], int]) -> int:
    ask()  # the first fills what is remembered
    return min(ask() for _ in range(TIMES))


def _asked(inset: Server) -> dict[str, Callable[[], int]]:
    calls = inset.counter()
    id = new(inset.caller())
    saving = {size: _saving(inset, size) for size in (10_000, 1_000_000)}
    return {
        "a notebook's metadata": lambda: calls("GET", f"/v1/notebooks/{id}"),
        "a list of notebooks": lambda: calls("GET", "/v1/notebooks"),
        "a list of versions": lambda: calls("GET", f"/v1/notebooks/{id}/versions"),
        "a session that is not there": lambda: calls("GET", f"/v1/sessions/{id}"),
        "a load of 10 KB": lambda: calls("GET", f"/v1/notebooks/{id}/content"),
        "a save of 10 KB": saving[10_000],
        "a save of 1 MB": saving[1_000_000],
    }


def _saving(inset: Server, size: int) -> Callable[[], int]:
    calls, notebook, id = inset.counter(), synthetic(size), new(inset.caller())
    saved = 0

    def save() -> int:
        nonlocal saved
        saved += 1
        notebook.cells[0].source += f"\n# {saved}"
        return calls("PUT", f"/v1/notebooks/{id}/content", canonical(notebook), {"If-Match": f'"{saved}"'})

    return save


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bound", type=float, default=BOUND, help=f"(default: {BOUND})")
    return parser.parse_args()


if __name__ == "__main__":
    main()
