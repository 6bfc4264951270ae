"""The servers that the service has started: whose they are, how they are reached, when they are let go."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import JSON, bindparam, func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.calls import CallKeys
from inset.clock import now
from inset.db import HELD, Database, ask, listed, on_postgres, once_committed
from inset.draining import emptied
from inset.engines.prepared import Prepared
from inset.errors import ServerGone
from inset.hubs import Hub, Hubs
from inset.metrics import POOL
from inset.models import OVER, Server, ServerState, Session, SessionState
from inset.notebook_server import NotebookServer
from inset.turns import Kind, Sort, sort_of

SERVING = (ServerState.STARTING, ServerState.RUNNING)
"""The states of a server that further sessions of its kind can use."""

AHEAD = (ServerState.WARMING, ServerState.WARM)
"""The states of a server that is started ahead, and that nobody has."""

# Written out where they are executed, for a partial index is of no use to a parameter.
IS_SERVING = col(Server.state).in_(bindparam("serving", list(SERVING), expanding=True, literal_execute=True))
IS_SEATED = col(Server.state) != bindparam("stopped", ServerState.STOPPED, literal_execute=True)

_IS_DUE = (
    col(Server.state) == bindparam("looked_after"),
    col(Server.checked_at) < bindparam("before"),
    col(Server.hub).not_in(bindparam("away", expanding=True)),
)
_DUE = Prepared(select(Server.id).where(*_IS_DUE).order_by(col(Server.checked_at)).limit(bindparam("most")))

_CALL_TOKEN_LIFETIME = timedelta(minutes=5)


def has_own_origin(seat: str, url: str) -> bool:
    """Tell whether a seat's server has an origin of its own: the wall between users in one browser."""
    return (urlsplit(url).hostname or "").startswith(f"{seat}.")


class ServerDialler:
    """Opens calls to running servers, each known to its bridge by a key for it alone, or by a short-lived token."""

    def __init__(self, http: httpx.AsyncClient, hubs: Hubs, keys: CallKeys) -> None:
        self._http = http
        self._hubs = hubs
        self._keys = keys

    def dial(self, server: Server | None, *, by_hub: bool = True, up_at: str | None = None) -> NotebookServer:
        """Prepare calls to a server; `up_at` is where one is up of which that is not written down yet.

        Raises `ServerGone` if it is not running, and `HubUnavailable` if its hub is in the settings no longer.
        Without `by_hub` the hub is not asked for anything: a server whose bridge does not know the service is gone.
        """
        if server and server.state is ServerState.RUNNING:
            up_at = server.url
        if server is None or server.state not in SERVING or up_at is None:
            raise ServerGone
        hub = self._hubs.of(server)
        lifetime, note = _CALL_TOKEN_LIFETIME, "inset: load and save"
        by_token = partial(hub.client.mint, server.seat, lifetime=lifetime, note=note)
        return NotebookServer(
            self._http,
            dial=hub.settings.proxy_url,
            url=up_at,
            key=self._keys.of(server.id),
            mint=by_token if by_hub else _not_at_all,
        )


async def _not_at_all() -> str:
    raise ServerGone


def frame_note(session_id: str) -> str:
    """Name the hub tokens of one session's frames, so that they can be found when it ends."""
    return f"inset: frame of {session_id}"


def kind_of(row: Session | Server | type[Session] | type[Server]) -> list[Any]:
    """Give what says of which kind a session or a server is: a row's values, or a table's columns."""
    return [getattr(row, name) for name in Kind._fields]


_SAME_KIND = select(Server.id).where(*(getattr(Server, name) == bindparam(name) for name in Kind._fields), IS_SERVING)
_MINE, _MINE_HELD = Prepared(_SAME_KIND), Prepared(_SAME_KIND.with_for_update(key_share=True))
_OLDEST_WARM = Prepared(
    select(Server.id)
    .where(IS_SEATED, Server.state == ServerState.WARM)
    .where(*(getattr(Server, name) == bindparam(name) for name in ("hub", "made_of", *Sort._fields)))
    .order_by(col(Server.created_at))
    .limit(1)
)


async def seat_for(db: AsyncSession, session: Session, hub: Hub | None, *, made_of: str = "") -> Server | None:
    """Find the user's server of the session's kind, or take one that a hub has started ahead, or a free seat of its.

    `made_of` is the hash of what the session's profile says now: no server of an older one is taken.
    None if there is neither, or if the user's server is at a hub that is just being emptied. Servers are of one kind if
    their capabilities, their data policy, their profile and their environment are the same.
    """
    # Held until the session is seen to use it: whoever would let it go waits.
    mine = await ask(db, _MINE_HELD, **_kind(session))
    server = await db.get_one(Server, mine[0].id) if mine else None
    if server and server.hub in await emptied(db):
        return None
    if server is None and hub:
        server = await _take_warm(db, session, hub, made_of)
    if server is None:
        seat = await free_seat(db, hub) if hub else None
        if hub is None or seat is None:
            return None
        kind = session.model_dump(include={*Kind._fields, "environment"})
        server = Server(**kind, hub=hub.name, seat=seat)
        db.add(server)
        await db.flush()
    return server


async def is_served(db: AsyncSession, session: Session) -> bool:
    """Tell whether the user has a server of the session's kind already."""
    return bool(await ask(db, _MINE, **_kind(session)))


def _kind(session: Session) -> dict[str, Any]:
    return Kind(*kind_of(session))._asdict()


async def _take_warm(db: AsyncSession, session: Session, hub: Hub, made_of: str) -> Server | None:
    """Make a server the user's that was started ahead; None if there is none of the session's kind at the hub.

    Several may try at once: whose change of its row is the first has it, and the others go on to the next one.
    """
    kind = Kind(*kind_of(session))
    sort = sort_of(kind)
    if sort is None:
        return None
    wanted = {"hub": hub.name, "made_of": made_of, **sort._asdict()}
    while oldest := await ask(db, _OLDEST_WARM, **wanted):
        id = oldest[0].id
        # Its user's from this moment on: for as long as nobody worked in it nobody was to.
        values = {**kind._asdict(), "state": ServerState.RUNNING, "created_at": now(), "active_at": now()}
        taken = await db.exec(
            update(Server)
            .where(col(Server.id) == id, col(Server.state) == ServerState.WARM)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        if taken.rowcount:
            once_committed(db, POOL.labels("taken").inc)
            return await db.get_one(Server, id, populate_existing=True)
    return None


async def end_ahead(db: AsyncSession, ids: Collection[str] | None = None) -> int:
    """Have those stopped, of these or of all, that nobody has got at this moment; tells how many."""
    still = [IS_SEATED, col(Server.state).in_(AHEAD), *([col(Server.id).in_(ids)] if ids is not None else [])]
    ended = await db.exec(
        update(Server).where(*still).values(state=ServerState.STOPPING).execution_options(synchronize_session=False)
    )
    return int(ended.rowcount)


async def free_seat(db: AsyncSession, hub: Hub) -> str | None:
    """Find a hub's first free seat, which the database looks for: it may have a thousand that are taken."""
    free = await ask(db, _free_seats(on_postgres(db)), seats=hub.seats, hub=hub.name)
    return free[0].value if free else None


@cache
def _free_seats(postgres: bool) -> Prepared:
    seats = listed(bindparam("seats", type_=JSON), postgres=postgres)
    taken = select(Server.id).where(Server.hub == bindparam("hub"), Server.seat == seats.c.value, IS_SEATED).exists()
    return Prepared(select(seats.c.value).where(~taken).order_by(seats.c.key).limit(1))


async def give_back(db: AsyncSession, server_id: str) -> bool:
    """Have the sessions that wait for a server's start wait for another place; tells whether they do.

    What the hub may have begun all the same is stopped, and its seat is free when that is done. Nothing is given back
    that a session has begun to start with.
    """
    # Sessions are held before their server, as everywhere.
    using = select(Session).where(Session.server_id == server_id, col(Session.state).not_in(OVER))
    sessions = (await db.exec(using.order_by(col(Session.id)).with_for_update(key_share=True))).all()
    server = await db.get_one(Server, server_id, with_for_update=HELD)
    if server.state is not ServerState.STARTING or any(one.state is not SessionState.QUEUED for one in sessions):
        return False
    server.state = ServerState.STOPPING
    for session in sessions:
        # Whoever drives it leaves it to the queue and renews its lease no more: nobody has to wait for its end.
        session.server_id = session.lease_owner = session.lease_until = None
    return True


async def let_go(db: AsyncSession, server_id: str | None) -> None:
    """Have a server stopped if no session needs it any more."""
    serving = (col(Server.id) == server_id, col(Server.state).in_(SERVING))
    # Held first, and counted then: a session that takes it at this moment is seen.
    if (await db.exec(select(Server.id).where(*serving).with_for_update(key_share=True))).first() is None:
        return
    using = select(func.count()).where(Session.server_id == server_id, col(Session.state).not_in(OVER))
    unneeded = update(Server).where(*serving, using.scalar_subquery() == 0)
    await db.exec(unneeded.values(state=ServerState.STOPPING))


async def take_due(
    database: Database, hubs: Hubs, state: ServerState, interval: timedelta, *, most: int = 10_000
) -> Sequence[Server]:
    """Take the servers in a state that no replica has looked after for a while, but those at a hub that is away.

    No more than `most`: those for which it has been longest.
    """
    time = now()
    away = [hub.name for hub in hubs if hub.client.away]
    wanted = {"looked_after": state, "before": time - interval, "away": away}
    async with database.transaction(read_only=True) as db:
        ids = [server.id for server in await ask(db, _DUE, **wanted, most=most)]
    if not ids:
        return []
    async with database.transaction() as db:
        taken = await db.exec(
            update(Server).where(col(Server.id).in_(ids), *_IS_DUE).values(checked_at=time).returning(col(Server.id)),
            params=wanted,
        )
        return (await db.exec(select(Server).where(col(Server.id).in_(taken.scalars().all())))).all()
