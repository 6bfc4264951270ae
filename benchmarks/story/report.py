"""The report: what each way took, beside the others, and what it asked of its hub."""

import os
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bars
from benchmarks.story.opening import PHASES
from benchmarks.story.page_loads import Load
from benchmarks.story.stories import Told

WAYS = ("by hand", "direct", "Inset", "pool")
_NAMES = ("accepted", "server ready", "content restored", "signed URL", "first cell's result")


@dataclass(frozen=True)
class Facts:
    """What the figures depend on."""

    version: str
    machine: str
    load_before: float
    rounds: int


_HEAD = """# From the click to the first result, measured

`make bench-story` writes this page. Inset {version}; {machine}. Rounds of each: {rounds}; load {load_before:.1f} when
it began and {load_after:.1f} when it ended, {minutes:.1f} minutes later. Beyond 2 others were at work: take the page
for a sample of its form then, and its ratios for a hint.

The same story in four ways, in turns, in an order by lot. In each round every way has users of its own; the first
round is not counted. Figures are medians; ratios are medians of the rounds' ratios.

- **by hand**: the seed's flow as a careful person writes it, with requests: create the user, make a token, start the
  server, look once a second, put the notebook there. A stock JupyterHub, and a stock spawner.
- **direct**: the best client without a service: kept connections, the token made while the server starts, the hub's
  progress stream. A hub as Inset configures it.
- **Inset**: what the SDK asks of the service; a hub of the same kind. That a server is ready it tells when the notebook
  is in it.
- **pool**: the same, with one server started ahead (`INSET_POOL`), which the user's first notebook gets.

With the local spawner the stock server is not quite stock: the environment that all share has no `rfc3987-syntax`,
which alone takes a stock server's start a second longer. Figures of Inset against by hand are too modest there.
"""
_PHASES_HEAD = ("story", "users", "way", *_NAMES)
_RATIOS = """
As ratios, with what they were to be at most:
"""
_RATIOS_HEAD = ("story", "users", "Inset / by hand", "Inset / direct", "Inset - direct, ms")
_PAIRS = """
Nothing but the cold start, by the direct client and through Inset, {count} times in turns, with nothing else deployed.
With quartiles: one start differs from the next by more than one way from the other. Until the signed URL, 50 ms were
allowed.
"""
_PAIRS_HEAD = ("until", "direct, s", "Inset, s", "Inset - direct, ms", "quartiles", "Inset / direct")
_POOL = """
What a server that was started ahead makes of the cold start by hand, with what it was to be at most:
"""
_POOL_HEAD = ("until", "pool / by hand", "pool / Inset")
_HUB = """
What the service, or whoever took its place, asked of the hub for each user until he had his signed URL, and the hub's
own processor time for each. Inset was to ask 4 times at most for a new user, twice for a known one, and never for a
list.
"""
_HUB_HEAD = ("story", "users", "way", "calls", "lists", "hub CPU, ms", "which")
_PAGES = """
## The notebook's page

From the frame's navigation until the first cell can be typed into, in Chromium, with the kernel running: by hand, which
is stock Notebook, and through Inset. Cold is a profile that has never been there, warm its next opening. "Files ahead"
is one that has never been there either, and fetched and ran the page's files while the server was starting, as the SDK
has it do; these are not in its KB, and stock is its cold page. Inset / stock was to be at most 0.8. A line that is
slower than this machine's loopback is Chromium's own imitation of one.
"""
_PAGES_HEAD = ("line", "", "stock, s", "Inset, s", "Inset / stock", "of stock's first", "requests", "KB")


class Report:
    """Takes what was measured, and writes it down in the end."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._told: list[Told] = []
        self._pairs: list[Told] = []
        self._loads: dict[tuple[str, str], dict[str, list[Load]]] = {}

    def add_stories(self, told: Iterable[Told]) -> None:
        self._told += told

    def add_pairs(self, told: Iterable[Told]) -> None:
        """Take more rounds of two ways alone."""
        self._pairs += told

    def add_loads(self, line: str, temperature: str, loads: Mapping[str, list[Load]]) -> None:
        self._loads[line, temperature] = dict(loads)

    def write(self, file: Path, picture: Path, *, load_after: float, minutes: float) -> None:
        """Write the page, and the picture in it."""
        facts = self._facts
        head = {"version": facts.version, "machine": facts.machine, "rounds": facts.rounds}
        parts = [_HEAD.format(**head, load_before=facts.load_before, load_after=load_after, minutes=minutes)]
        for spawner in dict.fromkeys(one.spawner for one in self._told):
            told = _grouped(one for one in self._told if one.spawner == spawner)
            parts += [f"\n## {_title(spawner)}\n\nSeconds from the click:\n", _table(_PHASES_HEAD, _phases(told))]
            parts += [_RATIOS, _table(_RATIOS_HEAD, _ratios(told, nothing=spawner == "nothing"))]
            pairs = _grouped(one for one in self._pairs if one.spawner == spawner)
            if pairs:
                head = _PAIRS.format(count=len(pairs["cold", 1, "Inset"]))
                parts += [head, _table(_PAIRS_HEAD, _paired_starts(pairs))]
            if any(way == "pool" for *_, way in told):
                parts += [_POOL, _table(_POOL_HEAD, _pooled(told))]
            parts += [_HUB, _table(_HUB_HEAD, _asked(told))]
        if self._loads:
            parts += [_PAGES, _table(_PAGES_HEAD, self._loaded())]
        rows = self._bars()
        if rows:
            parts.append(f"\n## In a picture\n\n![{_BARS}]({os.path.relpath(picture, file.parent)})\n")
            picture.write_text(bars.bars(_BARS, _NAMES, rows))
        file.write_text("\n".join(part.strip("\n") + "\n" for part in parts))

    def _loaded(self) -> Iterable[Sequence[str]]:
        for (line, temperature), loads in self._loads.items():
            stock, inset, first = loads["by hand"], loads["Inset"], self._loads[line, "cold"]["by hand"]
            yield (
                line,
                temperature,
                *(f"{statistics.median(one.seconds for one in some):.2f}" for some in (stock, inset)),
                f"{_slower(inset, stock):.2f} (0.8)",
                f"{_slower(inset, first):.2f}",
                f"{stock[-1].requests} / {inset[-1].requests}",
                f"{stock[-1].bytes // 1000} / {inset[-1].bytes // 1000}",
            )

    def _bars(self) -> dict[str, list[float]]:
        rows = {}
        for (story, users, way), told in _grouped(self._told).items():
            alone = [one for one in told if users == 1 and one.spawner != "nothing"]
            for spawner in dict.fromkeys(one.spawner for one in alone):
                reached = [_median((one for one in alone if one.spawner == spawner), phase) for phase in PHASES]
                times = [seconds for seconds in reached if seconds is not None]
                rows[f"{spawner}, {story}, {way}"] = [b - a for a, b in zip([0, *times], times, strict=False)]
        return rows


_BARS = "From the click to the first cell's result, one user"
_Group = dict[tuple[str, int, str], list[Told]]


def _grouped(told: Iterable[Told]) -> _Group:
    groups: _Group = defaultdict(list)
    for one in told:
        groups[one.story, one.users, one.way].append(one)
    return {key: groups[key] for key in sorted(groups, key=lambda key: (key[1], key[0], WAYS.index(key[2])))}


def _title(spawner: str) -> str:
    names = {"local": "A process for each server", "docker": "A container for each server"}
    return names.get(spawner, "A spawner that starts nothing: the hub's share and the service's")


def _phases(told: _Group) -> list[tuple[str, ...]]:
    rows = []
    for (story, users, way), some in told.items():
        medians = (_median(some, phase) for phase in PHASES)
        rows.append((story, f"{users}", way, *("" if one is None else f"{one:.3f}" for one in medians)))
    return rows


def _ratios(told: _Group, *, nothing: bool) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for story, users in dict.fromkeys(key[:2] for key in told):
        inset, direct, hand = (_by_round(told[story, users, way]) for way in ("Inset", "direct", "by hand"))
        longer = _paired(inset, direct, lambda a, b: 1000 * (a - b))
        most = " (1.15)" if nothing and story == "cold" else ""
        rows.append(
            (
                story,
                f"{users}",
                f"{_paired(inset, hand, lambda a, b: a / b):.2f}",
                f"{_paired(inset, direct, lambda a, b: a / b):.2f}{most}",
                f"{longer:.0f}",
            )
        )
    return rows


def _paired_starts(told: _Group) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for phase, name in (("signed", "signed URL"), ("result", "first cell's result")):
        direct, inset = (_by_round(told["cold", 1, way], phase) for way in ("direct", "Inset"))
        first, median, last = statistics.quantiles((1000 * (inset[one] - direct[one]) for one in inset), n=4)
        medians = (f"{statistics.median(way.values()):.3f}" for way in (direct, inset))
        ratio = _paired(inset, direct, lambda a, b: a / b)
        rows.append((name, *medians, f"{median:.0f}", f"{first:.0f} and {last:.0f}", f"{ratio:.2f}"))
    return rows


def _pooled(told: _Group) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for phase, name, most in (("signed", "signed URL", 0.03), ("result", "first cell's result", 0.05)):
        pool, inset, hand = (_by_round(told["cold", 1, way], phase) for way in ("pool", "Inset", "by hand"))
        by_hand, cold = (_paired(pool, other, lambda a, b: a / b) for other in (hand, inset))
        rows.append((name, f"{by_hand:.3f} ({most})", f"{cold:.3f}"))
    return rows


def _asked(told: _Group) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for (story, users, way), some in told.items():
        calls = statistics.median(one.asked.count / users for one in some)
        cpu = statistics.median(1000 * one.asked.cpu / users for one in some)
        which = ", ".join(f"{call} {number / users:g}" for call, number in sorted(some[-1].asked.calls.items()))
        lists = sum(one.asked.listings for one in some)
        rows.append((story, f"{users}", way, f"{calls:.1f}", f"{lists}", f"{cpu:.0f}", f"`{which}`"))
    return rows


def _slower(loads: Sequence[Load], others: Sequence[Load]) -> float:
    """How many times as long as the others', each of the same round."""
    return statistics.median(a.seconds / b.seconds for a, b in zip(loads, others, strict=True))


def _median(told: Iterable[Told], phase: str) -> float | None:
    """The median of all users' in all rounds; None where the phase is not reached."""
    seconds = [reached[phase] for one in told for reached in one.reached if phase in reached]
    return statistics.median(seconds) if seconds else None


def _by_round(told: Iterable[Told], phase: str = "signed") -> dict[int, float]:
    return {one.round: statistics.median(reached[phase] for reached in one.reached) for one in told}


def _paired(one: Mapping[int, float], other: Mapping[int, float], compare: Callable[[float, float], float]) -> float:
    return statistics.median(compare(one[round], other[round]) for round in one)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
