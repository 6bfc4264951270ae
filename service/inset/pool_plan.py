"""What is to become of the servers that are started ahead: which are given up, and whether one more is started.

Nothing is read and nothing is changed here: `pool.py` does that.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from inset.turns import HubRoom, Kind, Room, Sort, sort_of


class Ahead(NamedTuple):
    """A server that was started ahead and that nobody has yet."""

    id: str
    hub: str
    sort: Sort
    made_of: str
    created_at: datetime
    warm: bool
    """Whether it runs."""


@dataclass(frozen=True)
class Wanted:
    """What there is to be of a sort, at each hub."""

    servers: int
    max_age: timedelta
    made_of: str
    """Of which any other is not of this sort any more."""


@dataclass(frozen=True)
class Waits:
    """What the real starts say."""

    unplaced: Sequence[Kind] = ()
    """Who waits and has no place."""

    full: Collection[str] = ()
    """The profiles without room."""

    asking: bool = False
    """Whether anybody waits at all for whom there may be room, or for a hub to take his start on."""


@dataclass(frozen=True)
class Plan:
    """What is to be done now."""

    replace: Sequence[str] = ()
    """Those that are too old, or no longer what is wanted."""

    give_up: Sequence[str] = ()
    """Those that are too many, or whose seat somebody waits for."""

    start: Sequence[tuple[str, Sort]] = field(default_factory=tuple)
    """At which hub one more is started, and of which sort."""


def plan(
    there: Sequence[Ahead],
    wanted: Mapping[Sort, Wanted],
    room: Room,
    waits: Waits,
    *,
    stopping: int,
    now: datetime,
    not_now: Collection[tuple[str, Sort]] = (),
) -> Plan:
    """Say what is to be done. `stopping` are as many as are just being given up; `not_now` is not started.

    Real starts go first: whoever waits for a seat gets one of these, none is started while anybody waits, one at a
    time at a hub else, and none takes its last free seat. What is old is replaced one by one, so that some are there.
    """
    hubs = {hub.name: hub for hub in room.hubs}
    replace = [one.id for one in there if one.sort in wanted and one.made_of != wanted[one.sort].made_of]
    give_up = [one.id for one in there if one.sort not in wanted or one.hub not in hubs]
    kept = [one for one in there if one.id not in {*replace, *give_up}]
    for kind in waits.unplaced[stopping + len(replace) + len(give_up) :]:
        if one := _in_the_way_of(kind, kept, room, full=kind.profile in waits.full):
            give_up.append(one.id)
            kept.remove(one)
    start: list[tuple[str, Sort]] = []
    for name, hub in hubs.items():
        here = [one for one in kept if one.hub == name]
        for sort, what in wanted.items():
            give_up += [one.id for one in _oldest_first(here, sort)[: max(_count(here, sort) - what.servers, 0)]]
        if waits.asking or not all(one.warm for one in here):
            continue
        if short := _shortest(here, wanted, hub, room, {sort for at, sort in not_now if at == name}):
            start.append((name, short))
        elif not stopping and not give_up:
            old = [one for one in here if one.created_at + wanted[one.sort].max_age < now]
            replace += [one.id for one in sorted(old, key=lambda one: one.created_at)[:1]]
    return Plan(replace, give_up, start)


def _in_the_way_of(kind: Kind, there: Sequence[Ahead], room: Room, *, full: bool) -> Ahead | None:
    """Choose what is given up for somebody who waits; None if that would help him nothing."""
    hubs = {hub.name for hub in room.hubs_for(kind.host_id) if full or hub.seats <= 0}
    # One of his own sort he gets as soon as it runs.
    those = [one for one in there if one.hub in hubs and one.sort != sort_of(kind)]
    if full:
        those = [one for one in those if one.sort.profile == kind.profile]
    elif any(hub.seats > 0 for hub in room.hubs_for(kind.host_id)):
        return None
    return min(those, key=lambda one: (not one.warm, one.created_at), default=None)


def _shortest(
    here: Sequence[Ahead], wanted: Mapping[Sort, Wanted], hub: HubRoom, room: Room, not_now: Collection[Sort]
) -> Sort | None:
    """Choose the sort of which a hub lacks most, if it has room for one more."""
    if hub.away or hub.busy or hub.seats <= 1:
        return None
    lack = {
        sort: what.servers - _count(here, sort)
        for sort, what in wanted.items()
        if sort not in not_now and room.profiles.get(sort.profile, 1) > 0
    }
    most = max(lack, key=lambda sort: lack[sort], default=None)
    return most if most and lack[most] > 0 else None


def _count(there: Sequence[Ahead], sort: Sort) -> int:
    return sum(one.sort == sort for one in there)


def _oldest_first(there: Sequence[Ahead], sort: Sort) -> list[Ahead]:
    return sorted((one for one in there if one.sort == sort), key=lambda one: one.created_at)
