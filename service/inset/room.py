"""What room there is, as the database counts it: however many servers there are, no more rows are read."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, false, func, literal, or_, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.db import ask
from inset.draining import drained
from inset.engines.prepared import Prepared
from inset.hubs import Hubs
from inset.models import Host, Server, ServerState, Session, SessionState
from inset.profiles import Profiles
from inset.servers import IS_SEATED, IS_SERVING, kind_of
from inset.turns import HubRoom, Kind, Room, Sort, Waiting

_ASKED_AT_ONCE = 5
"""How many starts a hub is asked for at once. If it has no room for them, no more than these hold a seat."""


async def read_room(db: AsyncSession, hubs: Hubs, profiles: Profiles, waiting: Sequence[Waiting] = ()) -> Room:
    """Count what there is to give out. Of the servers that are there only those are told that `waiting` can join."""
    taken, seated = Counter[str](), Counter[str]()
    for hub, profile, count, in_seats_of_it in await ask(db, _counts(tuple((hub.name, hub.seats[-1]) for hub in hubs))):
        taken[hub] += in_seats_of_it
        seated[profile] += count
    serving = [(hub, Kind(*kind)) for hub, *kind in await ask(db, _JOINABLE)] if waiting else []
    asking = {one.kind for one in waiting if one.seated}
    asked = Counter(hub for hub, kind in serving if kind in asking)
    hosts = list({one.kind.host_id for one in waiting})
    served = await ask(db, _SERVED, hosts=hosts) if hosts else []
    closed, warm = await drained(db), await _warm(db, profiles)
    return Room(
        hubs=[
            HubRoom(
                name=hub.name,
                seats=hub.settings.seats - taken[hub.name],
                starts=_ASKED_AT_ONCE - asked[hub.name],
                hosts=hub.hosts,
                busy=hub.client.busy,
                away=hub.client.away,
                warm=warm[hub.name],
            )
            for hub in hubs
            if hub.name not in closed
        ],
        profiles={name: most - seated[name] for name, most in profiles.places},
        serving=frozenset(kind for _, kind in serving),
        served_at={host: at for host, at in served if at},
    )


async def _warm(db: AsyncSession, profiles: Profiles) -> dict[str, dict[Sort, int]]:
    """Count, for each hub, the servers that were started ahead and are still of the profile whose name they have."""
    warm: dict[str, dict[Sort, int]] = defaultdict(dict)
    for hub, made_of, *sort, count in await ask(db, _WARM):
        if made_of == profiles.made_of(Sort(*sort).profile):
            warm[hub][Sort(*sort)] = count
    return warm


@cache
def _counts(hubs: Sequence[tuple[str, str]]) -> Prepared:
    """Count the servers of each hub and profile, and those of them in its seats; a hub is a name and its last seat."""
    in_seats = or_(false(), *(and_(col(Server.hub) == name, _up_to(last)) for name, last in hubs))
    counts = select(Server.hub, Server.profile, func.count(), func.count().filter(in_seats))
    return Prepared(counts.where(IS_SEATED).group_by(col(Server.hub), col(Server.profile)))


def _up_to(last: str) -> ColumnElement[bool]:
    """Leave out who is in a seat of a time when the hub had more of them: these have higher numbers."""
    return tuple_(func.length(Server.seat), col(Server.seat)) <= tuple_(literal(len(last)), literal(last))


_JOINABLE = Prepared(
    select(Server.hub, *kind_of(Server))
    .join(Session, and_(*(getattr(Session, name) == getattr(Server, name) for name in Kind._fields)))
    .where(Session.state == SessionState.QUEUED, IS_SERVING)
    .distinct()
)
"""The servers of those kinds for which somebody waits."""

_LAST = select(func.max(Server.created_at)).where(Server.host_id == Host.id).scalar_subquery()
_SERVED = Prepared(select(Host.id, _LAST).where(col(Host.id).in_(bindparam("hosts", expanding=True))))

_SORTED: list[Any] = [getattr(Server, name) for name in ("hub", "made_of", *Sort._fields)]
_WARM = Prepared(
    select(*[*_SORTED, func.count()]).where(IS_SEATED, Server.state == ServerState.WARM).group_by(*_SORTED)
)
