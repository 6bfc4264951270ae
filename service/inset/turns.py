"""Whose turn it is among those who wait for a place, and how long the others may have to wait.

Nothing is read and nothing is changed here: `queue.py` does that.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import NamedTuple

_NEVER = datetime.min.replace(tzinfo=UTC)
_AT_ONCE = timedelta(seconds=2)
"""Who got a place sooner did not wait for one."""


class Kind(NamedTuple):
    """What one server is for. Sessions of one kind share it, and so wait for one place."""

    host_id: str
    owner: str
    may: str
    data_policy: str
    profile: str
    environment_key: str


class Place(NamedTuple):
    """Where a session stands in the queue."""

    position: int
    """1 is next."""

    estimated_wait: int | None
    """In how many seconds its turn may come; None as long as nothing has been measured."""


@dataclass(frozen=True)
class Waiting:
    """A session that waits."""

    id: str
    kind: Kind
    since: datetime
    seated: bool
    """Whether it has a seat, and waits for the hub to take its start on."""


@dataclass(frozen=True)
class Room:
    """What there is to give out."""

    seats: int
    """Seats that nobody has."""

    profiles: Mapping[str, int] = field(default_factory=dict)
    """For each profile whose servers are bounded: how many more there may be."""

    serving: frozenset[Kind] = frozenset()
    """The kinds whose server is there already."""

    starts: int = 1
    """How many more starts the hub may be asked for at this moment."""

    served_at: Mapping[str, datetime] = field(default_factory=dict)
    """When each host application was last given a seat."""


@dataclass(frozen=True)
class Turn:
    """What is so now."""

    admitted: Sequence[str]
    """The sessions that get a place now, in this order."""

    positions: Mapping[str, int]
    """Where those who wait stand; 1 is next."""

    full: frozenset[str]
    """The profiles without room. Who wants one of these stands in a queue of its own."""


def turn(waiting: Iterable[Waiting], room: Room) -> Turn:
    """Give out what there is: to the host applications in turn, and in each to who came first.

    Whose server is there already takes nothing from anybody. Who wants a profile without room holds nobody else up.
    """
    kinds: dict[Kind, list[Waiting]] = defaultdict(list)
    for one in sorted(waiting, key=lambda one: (one.since, one.id)):
        kinds[one.kind].append(one)
    asking = [kind for kind, of in kinds.items() if any(one.seated for one in of)]
    joining = [kind for kind in kinds if kind in room.serving and kind not in asking]
    rest = [kind for kind in kinds if kind not in asking and kind not in joining]
    full = frozenset(profile for profile, left in room.profiles.items() if left <= 0)

    order = _round_robin([kind for kind in rest if kind.profile not in full], kinds, room.served_at)
    seats, starts, left = room.seats, room.starts, dict(room.profiles)
    given: list[Kind] = []
    for kind in order:
        if seats <= 0 or starts <= 0:
            break
        if left.get(kind.profile, 1) > 0:
            given.append(kind)
            seats, starts = seats - 1, starts - 1
            if kind.profile in left:
                left[kind.profile] -= 1

    positions = _count(asking + order, kinds)
    for profile in full:
        ahead = [kind for kind in asking if kind.profile == profile]
        lane = [kind for kind in rest if kind.profile == profile]
        positions |= _count(ahead + _round_robin(lane, kinds, room.served_at), kinds)
    admitted = [one.id for kind in (*asking, *joining, *given) for one in kinds[kind] if not one.seated]
    return Turn(admitted, positions, full)


def _round_robin(
    wanted: Sequence[Kind], kinds: Mapping[Kind, Sequence[Waiting]], served_at: Mapping[str, datetime]
) -> list[Kind]:
    """Put one of each host application after the other; who was served longest ago begins."""
    hosts: dict[str, list[Kind]] = defaultdict(list)
    for kind in wanted:
        hosts[kind.host_id].append(kind)
    ring = sorted(hosts, key=lambda host: (served_at.get(host, _NEVER), kinds[hosts[host][0]][0].since, host))
    return [kind for rank in zip_longest(*(hosts[host] for host in ring)) for kind in rank if kind is not None]


def _count(order: Iterable[Kind], kinds: Mapping[Kind, Sequence[Waiting]]) -> dict[str, int]:
    return {one.id: position for position, kind in enumerate(order, start=1) for one in kinds[kind]}


def pace(
    waits: Iterable[tuple[datetime, datetime]], *, waiting_since: datetime | None, now: datetime
) -> timedelta | None:
    """Measure how long the queue took for each that left it; None if none did that had waited.

    `waits` are from when to when some of them waited. Only the time counts in which there was a queue, which goes on
    from `waiting_since` if somebody waits now: a queue that stands still gets slower.
    """
    waited = sorted((begin, end) for begin, end in waits if end - begin > _AT_ONCE)
    if not waited:
        return None
    moved = len(waited)
    if waiting_since:
        waited = sorted([*waited, (waiting_since, now)])
    busy, until = timedelta(), waited[0][0]
    for begin, end in waited:
        busy += max(end - max(begin, until), timedelta())
        until = max(until, end)
    return busy / moved


def estimated(position: int, each: timedelta | None) -> int | None:
    """Say in how many seconds a position's turn may come, no more exactly than can be known."""
    if each is None:
        return None
    seconds = position * each.total_seconds()
    step = 5 if seconds < 60 else 15 if seconds < 300 else 60
    return max(round(seconds / step), 1) * step
