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


class Sort(NamedTuple):
    """What a server that is started ahead can be used for, whoever gets it."""

    may: str
    data_policy: str
    profile: str


def sort_of(kind: Kind) -> Sort | None:
    """Say which servers that are started ahead will do for a kind; None if it takes one of its own."""
    # An environment is told to a server as it starts.
    return None if kind.environment_key else Sort(kind.may, kind.data_policy, kind.profile)


class Place(NamedTuple):
    """Where a session stands in the queue."""

    position: int
    """1 is next."""

    estimated_wait: int | None
    """In how many seconds its turn may come; None as long as nothing has been measured."""

    silent: bool = False
    """Whether it waits for hubs that do not answer."""


@dataclass(frozen=True)
class Waiting:
    """A session that waits."""

    id: str
    kind: Kind
    since: datetime
    seated: bool
    """Whether it has a seat, and waits for the hub to take its start on."""

    silent: bool = False
    """Whether that hub does not answer, as who asks it has found."""


@dataclass(frozen=True)
class HubRoom:
    """What one hub has to give out."""

    name: str
    seats: int
    """Seats that nobody has."""

    starts: int = 1
    """How many more starts it may be asked for at this moment."""

    hosts: frozenset[str] | None = None
    """The host applications that may be there; None is all."""

    busy: bool = False
    """Whether it has just refused a start."""

    away: bool = False
    """Whether it did not answer when it was asked last."""

    warm: Mapping[Sort, int] = field(default_factory=dict)
    """Servers that were started ahead and that nobody has yet."""

    def admits(self, host_id: str) -> bool:
        """Tell whether a host application's sessions may be there."""
        return self.hosts is None or host_id in self.hosts


@dataclass(frozen=True)
class Room:
    """What there is to give out."""

    hubs: Sequence[HubRoom] = ()
    """Those that take new servers, in the order in which they are set."""

    profiles: Mapping[str, int] = field(default_factory=dict)
    """For each profile whose servers are bounded: how many more there may be."""

    serving: frozenset[Kind] = frozenset()
    """The kinds whose server is there already."""

    served_at: Mapping[str, datetime] = field(default_factory=dict)
    """When each host application was last given a seat."""

    def hubs_for(self, host_id: str) -> list[HubRoom]:
        """Give the hubs where a host application's sessions can go now: those that are away only if all of them are."""
        admitting = [hub for hub in self.hubs if hub.admits(host_id)]
        return [hub for hub in admitting if not hub.away] or admitting

    def is_better_without(self, hub: str, host_id: str) -> bool:
        """Tell whether who waits at a hub that does not take his start on had better wait for another one."""
        here = next((one for one in self.hubs if one.name == hub and one.admits(host_id)), None)
        if here is None:
            return True  # it takes no new servers any more
        others = [one for one in self.hubs_for(host_id) if one is not here and not one.away]
        return (here.away and bool(others)) or (here.busy and any(one.seats and not one.busy for one in others))

    def seats_for(self, host_id: str) -> int:
        """Count the seats that a host application's sessions could have now, or as soon as one is needed."""
        return sum(hub.seats + sum(hub.warm.values()) for hub in self.hubs_for(host_id))


@dataclass(frozen=True)
class Turn:
    """What is so now."""

    admitted: Sequence[str]
    """The sessions that get a place now, in this order."""

    hubs: Mapping[str, str]
    """The hub for each of them whose server is not there yet."""

    positions: Mapping[str, int]
    """Where those who wait stand; 1 is next."""

    full: frozenset[str]
    """The profiles without room. Who wants one of these stands in a queue of its own."""


def turn(waiting: Iterable[Waiting], room: Room) -> Turn:
    """Give out what there is: to the host applications in turn, and in each to who came first.

    A new server is placed on the hub with the most free seats, of several the one that is set first; on one that has
    just refused a start only if no other has a seat.
    Whose server is there already takes nothing from anybody, nor does who gets one that was started ahead. Who wants a
    profile without room holds nobody else up.
    """
    kinds: dict[Kind, list[Waiting]] = defaultdict(list)
    for one in sorted(waiting, key=lambda one: (one.since, one.id)):
        kinds[one.kind].append(one)
    asking = [kind for kind, of in kinds.items() if any(one.seated for one in of)]
    joining = [kind for kind in kinds if kind in room.serving and kind not in asking]
    rest = [kind for kind in kinds if kind not in asking and kind not in joining]
    full = frozenset(profile for profile, left in room.profiles.items() if left <= 0)

    hubs, left = _Hubs(room), dict(room.profiles)
    placeable = [kind for kind in rest if kind.profile not in full or hubs.have_warm(kind)]
    order = _round_robin(placeable, kinds, room.served_at)
    given: dict[Kind, str] = {}
    for kind in order:
        if not hubs.left:
            break
        if warm := hubs.take_warm(kind):
            given[kind] = warm
        elif left.get(kind.profile, 1) > 0 and (hub := hubs.take(kind.host_id)):
            given[kind] = hub
            if kind.profile in left:
                left[kind.profile] -= 1

    positions = _count_by_hubs(asking + order, kinds, room)
    for profile in full:
        ahead = [kind for kind in asking if kind.profile == profile]
        lane = [kind for kind in rest if kind.profile == profile]
        positions |= _count_by_hubs(ahead + _round_robin(lane, kinds, room.served_at), kinds, room)
    admitted = [one.id for kind in (*asking, *joining, *given) for one in kinds[kind] if not one.seated]
    placed = {one.id: hub for kind, hub in given.items() for one in kinds[kind]}
    return Turn(admitted, placed, positions, full)


class _Hubs:
    """The hubs' seats and starts, while they are given out."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._seats = {hub.name: hub.seats for hub in room.hubs}
        self._starts = {hub.name: hub.starts for hub in room.hubs}
        self._warm = {hub.name: dict(hub.warm) for hub in room.hubs}

    @property
    def left(self) -> bool:
        """Tell whether anybody could be given anything."""
        started = any(any(warm.values()) for warm in self._warm.values())
        return started or any(seats > 0 and self._starts[name] > 0 for name, seats in self._seats.items())

    def have_warm(self, kind: Kind) -> bool:
        """Tell whether a server was started ahead that will do for a kind."""
        return bool(self._with_warm(kind))

    def take_warm(self, kind: Kind) -> str | None:
        """Take a server that was started ahead, where there are most of them; gives its hub, or None."""
        sort, names = sort_of(kind), self._with_warm(kind)
        if sort is None or not names:
            return None
        best = max(names, key=lambda name: self._warm[name][sort])
        self._warm[best][sort] -= 1
        return best

    def _with_warm(self, kind: Kind) -> list[str]:
        sort, hubs = sort_of(kind), self._room.hubs_for(kind.host_id)
        return [hub.name for hub in hubs if sort and not hub.away and self._warm[hub.name].get(sort)]

    def take(self, host_id: str) -> str | None:
        """Take a seat for a host application at the best hub; None if none has one."""
        free = [hub for hub in self._room.hubs_for(host_id) if self._seats[hub.name] > 0]
        welcome = [hub for hub in free if not hub.busy] or free
        fitting = [hub.name for hub in welcome if self._starts[hub.name] > 0]
        if not fitting:
            return None
        best = max(fitting, key=lambda name: self._seats[name])
        self._seats[best] -= 1
        self._starts[best] -= 1
        return best


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


def _count_by_hubs(order: Sequence[Kind], kinds: Mapping[Kind, Sequence[Waiting]], room: Room) -> dict[str, int]:
    """Say where each stands among those who could take a seat from it: all, unless hubs are for some hosts alone."""
    lanes = {host: frozenset(hub.name for hub in room.hubs_for(host)) for host in {kind.host_id for kind in order}}
    positions: dict[str, int] = {}
    for lane in set(lanes.values()):
        rivals = [kind for kind in order if lanes[kind.host_id] == lane or lanes[kind.host_id] & lane]
        counted = _count(rivals, kinds)
        positions |= {one.id: counted[one.id] for kind in rivals if lanes[kind.host_id] == lane for one in kinds[kind]}
    return positions


def silent_for(waiting: Iterable[Waiting], room: Room) -> frozenset[str]:
    """Name the host applications whose sessions wait for hubs alone that do not answer: for a seat, or in one."""
    waiting = list(waiting)
    # Where one asks in vain, all who come after it would: it would have gone elsewhere if it could.
    stuck = {one.kind.host_id for one in waiting if one.silent}
    silent = {hub.name for host in stuck for hub in room.hubs_for(host)}
    hosts = {one.kind.host_id for one in waiting} if stuck else set()
    return frozenset(host for host in hosts if silent.issuperset(hub.name for hub in room.hubs_for(host)))


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
