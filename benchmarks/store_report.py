"""The report: what was measured, how, and what it was to be."""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import plot
from benchmarks.store_pressure import Memory, Waits
from benchmarks.store_sizes import Sizes
from benchmarks.store_times import Times


@dataclass(frozen=True)
class Facts:
    """What the figures depend on."""

    machine: str
    sqlite: str
    load_before: float
    blobs: int
    versions: int


_HEAD = """# The notebook store, measured

`make bench` writes this page. {machine}; SQLite {sqlite}, WAL, synchronous=FULL. Load {load_before:.1f} when it
began and {load_after:.1f} when it ended, {minutes:.1f} minutes later: beyond what the benchmark needs itself (1 to 2),
others were at work, and every thread that is woken waited, which small sizes suffer from most.
Milliseconds are this machine's; ratios say more. Ratios to a raw insert shrink on a slower disk.

pgcontents is not among what is compared: it imports only with notebook 6.5 and SQLAlchemy 1.3, which are long out of
support. When it was last made to run, it took 166 ms to save 1 MB and 1.39 s for 10 MB.
"""

_TIMES = """
## Saving and loading

Over HTTP, one request after the other on kept connections. In each round the same new content, of which one cell
differs from the round before, goes to each store, in an order by lot: a raw durable SQLite `INSERT` within this
process; `PUT …/content` of an Inset service whose store is empty, and of one with {blobs:,} other blobs; the `PUT`
of jupyter_server's contents API; that of a store written by hand (`benchmarks/by_hand.py`: whole compressed copies in
FastAPI with the same token, validation, audit row, receipt and durability, and nothing else); and a bare ASGI app on
the same server, which takes it in, forgets it and answers (received). Then each store's is read back; Inset's answers
are compared byte for byte. The service has what was stored last in its memory; the version before (older) it reads from
the database. Medians, in ms; the first round is not counted.
"""
_TIMES_HEAD = (
    "notebook",
    "rounds",
    "raw insert",
    "received",
    "save",
    "by hand",
    "contents PUT",
    "load",
    "load, older",
    "by hand",
    "contents GET",
)
_RATIOS = """
As ratios, with what they were to be at most:
"""
_RATIOS_HEAD = (
    "notebook",
    "save / raw",
    "save / contents PUT",
    "load / contents GET",
    "load, older / contents GET",
    "save / by hand",
    "by hand / raw",
    "received / raw",
    "load / by hand",
    "by hand / contents GET",
    "save, full / empty store",
    "load, full / empty store",
)
_TARGETS = {
    "10 KB": ("3.3", "", "0.25"), "1 MB": ("2", "0.25", "0.25"), "10 MB": ("1.0", "", "0.25"),
    "100 KB": ("", "", "0.25"), "50 MB": ("", "", "0.25"),
}  # fmt: skip

_WAITS = """
## Beside large saves

A process of its own asks `/healthz` every 5 ms while one notebook is saved in a loop. What it waits for is the
service's event loop and a processor; how late it wakes up itself is what the machine alone costs. In ms:
"""
_MEMORY = """
## Memory

What one save and one load add to the service's memory at its peak, in multiples of the notebook's size for each
request in flight (at most 4 were to be needed). A fresh process for each, so that no memory is there to be used again.
"""
_SIZES = """
## How large a history is

{versions} versions of each, in % of {versions} full copies: bytes of bodies and blobs and their keys, without the
database's own overhead, against the one pack that `git gc` makes of the same files. 60 % of the edits are typing,
25 % run one cell again, 10 % all of them, 5 % add one: an assumption. A cell that is run again changes a line of what
it prints. Packed / git was to be at most 0.8. git's threads divide the versions among themselves, and what fits best
is often in another's part: with one thread it packs better, and always the same.
"""
_SIZES_HEAD = (
    "notebook",
    "after the saves",
    "packed",
    "`git gc`",
    "`git gc`, one thread",
    "packed / git",
    "packed / git, one thread",
)
_CHANGED = """
**{part:.0f} % of the images are other ones when their cell runs again**, from some byte on:
"""
_SAME = """
**No image changes**, as a matplotlib notebook that is run again gives the same PNGs. Here what is left is one copy of
each image, which nobody compresses further: git's pack with one thread is that copy, and so is ours, and 1.0 is about
what there is to reach.
"""
_CURVE = """
The synthetic notebook of 1 MB while it grows, packed at each of the points:

![A history's size while it grows]({plot})
"""


class Report:
    """Takes what was measured, tells it at once, and writes it down in the end."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._times: list[Times] = []
        self._waits: Sequence[Waits] = ()
        self._memory: list[Memory] = []
        self._sizes: list[tuple[float, Sequence[Sizes]]] = []
        self._curve: Sequence[Sizes] = ()

    def add_times(self, times: Times) -> None:
        """Take what one size took."""
        self._times.append(times)
        print(times, flush=True)

    def add_waits(self, waits: Sequence[Waits]) -> None:
        """Take how long small requests waited."""
        self._waits = waits
        print(*waits, sep="\n", flush=True)

    def add_memory(self, memory: Memory) -> None:
        """Take what a request needs."""
        self._memory.append(memory)
        print(memory, flush=True)

    def add_sizes(self, new_images: float, sizes: Sequence[Sizes]) -> None:
        """Take the sizes of histories in which a part of the images changes."""
        self._sizes.append((new_images, sizes))
        print(*sizes, sep="\n", flush=True)

    def add_curve(self, curve: Sequence[Sizes]) -> None:
        """Take the sizes of one history while it grew."""
        self._curve = curve
        print(*curve, sep="\n", flush=True)

    def write(self, file: Path, picture: Path, *, load_after: float, minutes: float) -> None:
        """Write the page, and the picture in it."""
        facts = self._facts
        head = {"machine": facts.machine, "sqlite": facts.sqlite, "load_before": facts.load_before}
        parts = [_HEAD.format(**head, load_after=load_after, minutes=minutes)]
        parts += [_TIMES.format(blobs=facts.blobs), _table(_TIMES_HEAD, map(_milliseconds, self._times))]
        parts += [_RATIOS, _table(_RATIOS_HEAD, map(_ratios, self._times))]
        rows = [(one.label, f"{one.requests}", *_fixed(one.p50, one.p99, one.longest)) for one in self._waits]
        parts += [_WAITS, _table(("", "requests", "p50", "p99", "longest"), rows)]
        rows = [(one.label, f"{one.in_flight}", *_fixed(one.save, one.load)) for one in self._memory]
        parts += [_MEMORY, _table(("notebook", "at once", "save", "load"), rows)]
        parts.append(_SIZES.format(versions=facts.versions))
        for new_images, sizes in self._sizes:
            parts += [_CHANGED.format(part=100 * new_images) if new_images else _SAME, _of_sizes(sizes)]
        parts.append(_CURVE.format(plot=os.path.relpath(picture, file.parent)))
        file.write_text("\n".join(part.strip("\n") + "\n" for part in parts))
        picture.write_text(_picture(self._curve))


def _milliseconds(times: Times) -> tuple[str, ...]:
    saves = times.insert, times.received, times.save, times.save_by_hand, times.contents_put
    loads = times.load, times.load_older, times.load_by_hand, times.contents_get
    took = (*saves, *loads)
    return times.label, f"{times.rounds}", *_fixed(*(1000 * one for one in took))


def _ratios(times: Times) -> tuple[str, ...]:
    got = (times.save / times.insert, times.save / times.contents_put, times.load / times.contents_get)
    told = [
        f"{ratio:.2f} ({most})" if most else f"{ratio:.2f}"
        for ratio, most in zip(got, _TARGETS[times.label], strict=True)
    ]
    told.append(f"{times.load_older / times.contents_get:.2f}")
    hand = times.save / times.save_by_hand, times.save_by_hand / times.insert, times.received / times.insert
    hand += times.load / times.load_by_hand, times.load_by_hand / times.contents_get
    full = times.save_beside_blobs / times.save, times.load_beside_blobs / times.load
    return times.label, *told, *_fixed(*hand, *full)


def _of_sizes(sizes: Sequence[Sizes]) -> str:
    rows = []
    for one in sizes:
        shares = (100 * part / one.copies for part in (one.saved, one.packed, one.git, one.git_alone))
        ratios = one.packed / one.git, one.packed / one.git_alone
        rows.append((f"{one.label}, {one.first // 1000} KB", *_fixed(*shares, *ratios)))
    table = _table(_SIZES_HEAD, rows)
    ratio, alone = [one.packed / one.git for one in sizes], [one.packed / one.git_alone for one in sizes]
    large = [100 * one.saved / one.copies for one in sizes if one.first > 200_000]
    told = f"\nPacked / git: {statistics.median(ratio):.2f} at the median, {max(ratio):.2f} at worst; with one thread "
    told += f"{statistics.median(alone):.2f} and {max(alone):.2f}."
    if large:
        told += f" Notebooks over 200 KB after the saves: {statistics.median(large):.1f} % at the median (5 at most)."
    return f"{table}{told}\n"


def _picture(curve: Sequence[Sizes]) -> str:
    series = {
        "git gc, one thread": [(one.versions, one.git_alone / one.first) for one in curve],
        "Inset, saved": [(one.versions, one.saved / one.first) for one in curve],
        "Inset, packed": [(one.versions, one.packed / one.first) for one in curve],
    }
    title = "What a history of a 1 MB notebook takes"
    return plot.lines(title, "versions", "times the size of the notebook", series)


def _table(head: Sequence[str], rows: "Sequence[Sequence[str]] | map[tuple[str, ...]]") -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _fixed(*numbers: float) -> tuple[str, ...]:
    return tuple(f"{number:.2f}" for number in numbers)
