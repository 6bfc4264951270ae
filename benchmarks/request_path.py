"""What the service's own path takes: processor time of each hot request beside a trivial FastAPI app and a bare one.

`make bench-requests` prints it and writes `docs/requests-benchmark.md`. All are asked in turns over kept connections,
so that what disturbs one disturbs all. Processor time is that of the server's process, its threads included, as Linux
counts it.
"""

import argparse
import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.event_streams import idle, open_sessions
from benchmarks.notebook_histories import canonical, synthetic
from benchmarks.request_report import BARE, TRIVIAL, Report
from benchmarks.serving import Inset, Server, plain_app
from benchmarks.starts import starts
from benchmarks.store_pressure import waits
from benchmarks.store_times import new, save
from tests.support.hosts import TestHost
from tests.support.key_pairs import KeyPair
from tests.support.postgres import PostgresServer

ROUNDS = 11
SIZES = {"10 KB": 10_000, "1 MB": 1_000_000, "10 MB": 10_000_000}
REQUESTS = {"10 KB": 20, "1 MB": 5, "10 MB": 1}
SMALL = 50
"""Small requests in a turn."""
LISTED = 20
"""Notebooks in a list."""
MOST = {"SQLite, HS256": 3.0, "PostgreSQL, ES256": 5.0}
"""How many times a trivial endpoint's time a small request may take."""
SMALLEST = ("session's status", "notebook's metadata")

Ask = Callable[[], object]


def main() -> None:
    """Measure, print the tables and write the report."""
    given, before = _given(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=given.folder) as name, ExitStack() as stack:
        folder = Path(name)
        apps = {
            TRIVIAL: (stack.enter_context(plain_app("trivial")), "/trivial/1"),
            BARE: (stack.enter_context(plain_app("bare")), "/"),
        }
        asked = [(label, app, SMALL, _get(app, path)) for label, (app, path) in apps.items()]
        small = {}
        for kind, inset in _insets(folder, stack):
            [session, *_] = asyncio.run(open_sessions(inset, 1))
            server = stack.enter_context(inset.serving())
            small[kind] = (server, f"/v1/notebooks/{_notebook(server)}")
            hot = _hot(server, session, small[kind][1], given.sizes)
            asked += [(f"{label}, {kind}", server, count, ask) for label, count, ask in hot]
        took = _measured(asked, given.rounds)
        server, path = small["SQLite, HS256"]
        report = Report(
            took,
            {f"{label}, {kind}": most for kind, most in MOST.items() for label in SMALLEST},
            [waits(server, 10_000_000, given.saves_beside, writers=writers, path=path) for writers in given.writers],
            list(idle(folder / "streams", streams=given.streams)) if given.streams else [],
            starts(Inset(folder / "starts"), given.rounds),
            before,
        )
    print(report.tables())
    report.write(given.report)


def _insets(folder: Path, stack: ExitStack) -> Iterator[tuple[str, Inset]]:
    yield "SQLite, HS256", Inset(folder / "sqlite")
    pair = KeyPair.new("demo-1", "ES256")
    host = TestHost(alg=pair.alg, signing_key=pair.private_pem, verification_key=pair.public_pem)
    yield "PostgreSQL, ES256", Inset(folder / "postgresql", url=stack.enter_context(_postgres()), host=host)


@contextlib.contextmanager
def _postgres() -> Iterator[str]:
    server = PostgresServer()
    try:
        server.start()
        yield server.url(asyncio.run(server.create()))
    finally:
        server.stop()


def _notebook(server: Server) -> str:
    call = server.caller()
    return [new(call) for _ in range(LISTED)][-1]


def _hot(server: Server, session: str, notebook: str, sizes: list[str]) -> list[tuple[str, int, Ask]]:
    hot = [
        ("healthz", SMALL, _get(server, "/healthz")),
        ("session's status", SMALL, _get(server, f"/v1/sessions/{session}")),
        ("notebook's metadata", SMALL, _get(server, notebook)),
        (f"list of {LISTED} notebooks", SMALL, _get(server, f"/v1/notebooks?limit={LISTED}")),
    ]
    for label in sizes:
        saving = _Saving(server, SIZES[label])
        hot.append((f"save of {label}", REQUESTS[label], saving.save))
        hot.append((f"load of {label}", REQUESTS[label], _get(server, f"/v1/notebooks/{saving.id}/content")))
    return hot


class _Saving:
    """A notebook that is saved again and again with one cell changed."""

    def __init__(self, server: Server, size: int) -> None:
        self._call, notebook = server.caller(), synthetic(size)
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
            begin = server.processor_time()
            for _ in range(count):
                ask()
            if turn:
                took[label].append((server.processor_time() - begin) / count * 1000)
    return took


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--writers", type=int, nargs="*", default=[1, 10], help="that save 10 MB beside small requests")
    parser.add_argument("--saves-beside", type=int, default=8, help="times 100 small requests, about")
    parser.add_argument("--sizes", type=lambda text: text.split(","), default=list(SIZES), help=", ".join(SIZES))
    parser.add_argument("--streams", type=int, default=1000, help="idle ones; 0 leaves them out")
    parser.add_argument("--report", type=Path, default=Path("docs/requests-benchmark.md"))
    parser.add_argument("--folder", type=Path, help="where the database is made, and removed; a disk, not memory")
    return parser.parse_args()


if __name__ == "__main__":
    main()
