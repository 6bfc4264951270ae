"""What one save and one load take, beside a raw insert and jupyter_server's contents API, asked in turns."""

import contextlib
import json
import random
import sqlite3
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from benchmarks.notebook_histories import canonical, shown, synthetic
from benchmarks.serving import Call, Server


@dataclass(frozen=True)
class Times:
    """Medians in seconds, of one size."""

    label: str
    rounds: int
    insert: float
    save: float
    save_beside_blobs: float
    save_by_hand: float
    received: float
    """The same body, taken in by a bare ASGI app on the same server, and forgotten."""
    contents_put: float
    load: float
    load_beside_blobs: float
    load_older: float
    """The version before, of which the service remembers nothing."""
    load_by_hand: float
    contents_get: float


def fill(server: Server, blobs: int) -> None:
    """Have so many blobs of 4 KB stored, in notebooks of 500 outputs each."""
    chance, call = random.Random(blobs), server.caller()
    for first in range(0, blobs, 500):
        notebook = nbformat.v4.new_notebook()
        for number in range(first, min(first + 500, blobs)):
            cell = nbformat.v4.new_code_cell("plot()", id=f"f{number:06}")
            cell.outputs = [shown(chance.randbytes(4_000))]
            notebook.cells.append(cell)
        save(call, new(call), canonical(notebook), 1)


def new(call: Call) -> str:
    """Make an empty notebook. Gives its id."""
    made = call("POST", "/v1/notebooks", b'{"name": "N"}', {"Content-Type": "application/json"})
    return str(json.loads(made)["id"])


def save(call: Call, id: str, content: bytes, base: int) -> None:
    """Save a version on another."""
    call("PUT", f"/v1/notebooks/{id}/content", content, {"If-Match": f'"{base}"'})


def measure(
    label: str,
    size: int,
    rounds: int,
    *,
    folder: Path,
    empty: Server,
    filled: Server,
    by_hand: Server,
    bare: Server,
    jupyter: Server,
) -> Times:
    """Save a notebook again and again, with one cell changed each time, in each store, and load it from each."""
    notebook = synthetic(size)
    one, other, hand, contents = empty.caller(), filled.caller(), by_hand.caller(), jupyter.caller()
    receive = bare.caller()
    ids = new(one), new(other), new(hand)
    file = f"/api/contents/n{size}.ipynb"
    took: dict[str, list[float]] = {}
    before = one("GET", f"/v1/notebooks/{ids[0]}/content")
    with _raw(folder / "raw.db") as raw:
        for number in range(1, rounds + 2):
            notebook.cells[number % len(notebook.cells)].source += f"\n# {number}"
            content = canonical(notebook)
            model = json.dumps({"type": "notebook", "format": "json", "content": json.loads(content)}).encode()
            turns: dict[str, tuple[Any, ...]] = {
                "insert": (raw.execute, "INSERT INTO bodies (content) VALUES (?)", (content,)),
                "save": (save, one, ids[0], content, number),
                "save_beside_blobs": (save, other, ids[1], content, number),
                "save_by_hand": (save, hand, ids[2], content, number),
                "received": (receive, "PUT", "/", content),
                "contents_put": (contents, "PUT", file, model),
            }
            loads: dict[str, tuple[Any, ...]] = {
                "load": (one, "GET", f"/v1/notebooks/{ids[0]}/content"),
                "load_beside_blobs": (other, "GET", f"/v1/notebooks/{ids[1]}/content"),
                "load_older": (one, "GET", f"/v1/notebooks/{ids[0]}/versions/{number}/content"),
                "load_by_hand": (hand, "GET", f"/v1/notebooks/{ids[2]}/content"),
                "contents_get": (contents, "GET", file),
            }
            for some in (turns, loads):
                # Not always in one order: what one of them leaves behind must not always meet the same other.
                for name in random.Random(number).sample(sorted(some), len(some)):
                    work, *given = some[name]
                    begin = time.perf_counter()
                    answer = work(*given)
                    took.setdefault(name, []).append(time.perf_counter() - begin)
                    if name.startswith("load"):
                        wanted = before if name == "load_older" else content
                        assert answer == wanted, "what was loaded is not what was saved"
            before = content
    # The first round stores everything anew, and warms up.
    return Times(label, rounds, **{name: statistics.median(each[1:]) for name, each in took.items()})


@contextlib.contextmanager
def _raw(file: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute("CREATE TABLE IF NOT EXISTS bodies (id INTEGER PRIMARY KEY, content BLOB)")
        yield raw
