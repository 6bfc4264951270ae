"""Measure the notebook store beside jupyter_server, a raw insert and git, and write the report: `make bench`."""

import argparse
import os
import platform
import sqlite3
import tempfile
import time
from pathlib import Path

import nbformat

from benchmarks import store_pressure, store_report, store_sizes, store_times
from benchmarks.notebook_histories import history, synthetic
from benchmarks.serving import Inset, by_hand, jupyter_server, plain_app

SIZES = {"10 KB": 10_000, "100 KB": 100_000, "1 MB": 1_000_000, "10 MB": 10_000_000, "50 MB": 50_000_000}
ROUNDS = {"10 KB": 30, "100 KB": 30, "1 MB": 15, "10 MB": 6, "50 MB": 2}
HISTORIES = {"10 KB": 10_000, "30 KB": 30_000, "100 KB": 100_000, "1 MB": 1_000_000}
NEW_IMAGES = (0.3, 0.0)


def main() -> None:
    """Measure, and write the report and its picture."""
    given = _given()
    facts = store_report.Facts(
        machine=f"{os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}",
        sqlite=sqlite3.sqlite_version,
        load_before=os.getloadavg()[0],
        blobs=given.blobs,
        versions=given.versions,
    )
    report, begin = store_report.Report(facts), time.monotonic()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        empty, filled = Inset(folder / "empty"), Inset(folder / "filled")
        with (
            empty.serving() as one,
            filled.serving() as other,
            by_hand(folder / "by hand") as hand,
            plain_app("bare") as bare,
            jupyter_server(folder / "jupyter") as jupyter,
        ):
            store_times.fill(other, given.blobs)
            servers = {"empty": one, "filled": other, "by_hand": hand, "bare": bare, "jupyter": jupyter}
            for label in given.sizes:
                rounds = max(2, round(ROUNDS[label] * given.rounds))
                report.add_times(store_times.measure(label, SIZES[label], rounds, folder=folder, **servers))
        pressed = Inset(folder / "pressed")
        with pressed.serving() as server:
            report.add_waits(store_pressure.waits(server, given.beside, given.saves_beside))
        for label, in_flight in (("1 MB", 1), ("10 MB", 1), ("10 MB", 4), ("50 MB", 1)):
            if label in given.sizes:
                report.add_memory(store_pressure.memory(pressed, label, SIZES[label], in_flight=in_flight))
        kept, packed = Inset(folder / "kept"), Inset(folder / "packed")
        with kept.serving() as one, packed.serving() as other:
            for new_images in NEW_IMAGES:
                notebooks = _notebooks(given)
                states = [(label, history(nb, given.versions, new_images=new_images)) for label, nb in notebooks]
                report.add_sizes(new_images, store_sizes.histories(packed, other, states))
            states_of_one = history(synthetic(HISTORIES["1 MB"]), given.versions, new_images=NEW_IMAGES[0])
            steps = sorted({1, 5, *range(10, given.versions, 10), given.versions})
            report.add_curve(store_sizes.curve(kept, one, packed, other, states_of_one, steps))
    report.write(given.report, given.plot, load_after=os.getloadavg()[0], minutes=(time.monotonic() - begin) / 60)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=lambda text: text.split(","), default=list(SIZES), help=", ".join(SIZES))
    parser.add_argument("--rounds", type=float, default=1.0, help="times the usual number of rounds of each size")
    parser.add_argument("--blobs", type=int, default=10_000, help="in the store that is not empty")
    parser.add_argument("--beside", type=int, default=10_000_000, help="bytes of what is saved beside small requests")
    parser.add_argument("--saves-beside", type=int, default=8, help="times 100 small requests, about")
    parser.add_argument("--versions", type=int, default=50, help="of each history")
    parser.add_argument("--corpus", type=Path, help="a folder with real notebooks, for the histories")
    parser.add_argument("--largest", type=float, default=2.5, help="MB of the largest of those that is taken")
    parser.add_argument("--folder", type=Path, help="where the databases are made, and removed; a disk, not memory")
    parser.add_argument("--report", type=Path, default=Path("docs/store-benchmark.md"))
    parser.add_argument("--plot", type=Path, default=Path("docs/images/store-benchmark.svg"))
    return parser.parse_args()


def _notebooks(given: argparse.Namespace) -> list[tuple[str, object]]:
    files = sorted(given.corpus.rglob("*.ipynb")) if given.corpus else []
    real = [file for file in files if file.stat().st_size <= given.largest * 1_000_000]
    made = [("synthetic", synthetic(size)) for size in HISTORIES.values()]
    return [*((file.stem, nbformat.read(file, 4)) for file in real), *made]


if __name__ == "__main__":
    main()
