"""The pool: servers that are started ahead, so that whoever comes next need not wait for his.

They are rows as all servers are, in seats as all are, and nobody's; `servers.seat_for` gives one to a user. Any replica
may look after them: what is done is settled in the database.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from functools import partial

from sqlalchemy import func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import Database, alone, once_committed
from inset.errors import HubBusy, Upstream
from inset.hub import SpawnFailed
from inset.hubs import Hubs
from inset.metrics import POOL
from inset.models import EVERY_CAPABILITY, Server, ServerState
from inset.models.capabilities import read, written
from inset.models.data_policy import within
from inset.pool_plan import Ahead, Plan, Waits, Wanted, plan
from inset.profiles import Profiles
from inset.queue import Queue
from inset.room import read_room
from inset.rounds import repeat
from inset.servers import AHEAD, IS_SEATED, end_ahead, free_seat, take_due
from inset.settings import DataPolicy, PoolSettings
from inset.turns import Sort

log = logging.getLogger(__name__)

_ROUND_SECONDS = 1.0
_IDLE_SECONDS = 30.0
"""Between two rounds where there is to be no pool: what an operator has switched off is given up all the same."""
_LOOK_INTERVAL = timedelta(seconds=1)
_NOT_AGAIN_SECONDS = 60.0
"""For how long nothing is started ahead, at that hub and of that profile, after a start that failed."""
_CALM_SECONDS = 3.0
"""For how long after somebody got a seat nothing is started ahead at that hub: his page has the processors first."""


class Pool:
    """Has as many servers run ahead as there are to be at this hour, at each hub."""

    def __init__(
        self,
        database: Database,
        hubs: Hubs,
        profiles: Profiles,
        queue: Queue,
        settings: Mapping[str, PoolSettings],
        *,
        data_policy: DataPolicy,
        check_interval: timedelta,
        start_timeout: timedelta,
    ) -> None:
        """`settings` are by profile. Raises `ValueError` for a profile that there is not."""
        require_profiles(profiles, settings)
        self._database = database
        self._hubs = hubs
        self._profiles = profiles
        self._queue = queue
        # What most users may do. Who may do less, or under a stricter policy, has a server started for him.
        may = written(within(data_policy, EVERY_CAPABILITY))
        self._settings = {Sort(may, data_policy, profile): one for profile, one in settings.items()}
        self._check_interval = check_interval
        self._start_timeout = start_timeout
        self._asked: set[str] = set()
        """The servers whose start this replica has asked for."""
        self._failed_at: dict[tuple[str, Sort], float] = {}

    async def run(self) -> None:
        """Look after the pool for as long as the service runs."""
        every = _ROUND_SECONDS if self._settings else _IDLE_SECONDS
        await asyncio.gather(*(repeat(duty, of="pool", every=every) for duty in (self._carry_out, self._look_after)))

    async def _carry_out(self) -> None:
        """Give up what is too much, and have started what is missing."""
        async with self._database.transaction(read_only=True) as db:
            planned = await self._plan(db)
        if planned == Plan():
            return
        async with self._database.transaction() as db:
            await self._end(db, planned.replace, "replaced")
            await self._end(db, planned.give_up, "given-up")
        if planned.start:
            await self._place()

    async def _place(self) -> None:
        """Take a seat for each that is missing, having looked again; their starts are asked for in the next round."""
        try:
            async with self._database.transaction() as db:
                # Whoever gives places out at this moment needs them more.
                missing = (await self._plan(db)).start if await alone(db) else ()
                busy = await _just_used(db) if missing else ()
                for name, sort in missing:
                    hub = self._hubs.named(name)
                    if hub and name not in busy and (seat := await free_seat(db, hub)):
                        made_of = self._profiles.made_of(sort.profile)
                        asked_at_once = now() - _LOOK_INTERVAL
                        server = Server(
                            **sort._asdict(), host_id=None, owner="", made_of=made_of, hub=name, seat=seat,
                            state=ServerState.WARMING, checked_at=asked_at_once,
                        )  # fmt: skip
                        db.add(server)
        except IntegrityError:
            return  # somebody took this seat who does not queue: `inset sweep`

    async def _plan(self, db: AsyncSession) -> Plan:
        names = ("id", "hub", "made_of", "created_at", "state", *Sort._fields)
        columns = [getattr(Server, name) for name in names]
        rows = (await db.exec(select(*columns).where(IS_SEATED, col(Server.state).in_(AHEAD)))).all()
        there = [
            Ahead(id, hub, Sort(*sort), made_of, created_at, warm=state is ServerState.WARM)
            for id, hub, made_of, created_at, state, *sort in rows
        ]
        if not there and not self._settings:
            return Plan()
        nobodys = (IS_SEATED, Server.state == ServerState.STOPPING, col(Server.host_id).is_(None))
        stopping = (await db.exec(select(func.count()).select_from(Server).where(*nobodys))).one()
        look = await self._queue.look(db)
        placed = {*look.turn.admitted, *(one.id for one in look.waiting if one.seated)}
        unplaced = list(dict.fromkeys(one.kind for one in look.waiting if one.id not in placed))
        full = look.turn.full
        waits = Waits(
            unplaced=unplaced,
            full=full,
            asking=any(one.id in placed or one.kind.profile not in full for one in look.waiting),
        )
        moment = now()
        wanted = {
            sort: Wanted(one.wanted(moment), one.max_age, self._profiles.made_of(sort.profile))
            for sort, one in self._settings.items()
        }
        room = look.room if look.waiting else await read_room(db, self._hubs, self._profiles)
        return plan(there, wanted, room, waits, stopping=stopping, now=moment, not_now=self._not_now())

    def _not_now(self) -> Collection[tuple[str, Sort]]:
        return {one for one, at in self._failed_at.items() if time.monotonic() < at + _NOT_AGAIN_SECONDS}

    async def _look_after(self) -> None:
        """Have those started that are to be, and notice those that run, and those that have died."""
        warming = await take_due(self._database, self._hubs, ServerState.WARMING, _LOOK_INTERVAL)
        warm = await take_due(self._database, self._hubs, ServerState.WARM, self._check_interval)
        await asyncio.gather(*map(self._bring_on, warming), *map(self._check, warm))

    async def _bring_on(self, server: Server) -> None:
        hub = self._hubs.called_for(server)
        try:
            running = await hub.server(server.seat)
            if running is None and server.id in self._asked:
                raise SpawnFailed("spawn-failed")
            if running is None or running.server_id != server.id:
                await self._ask(server)
            elif running.ready and running.full_url:
                await self._run(server, running.full_url)
            elif server.created_at + self._start_timeout < now():
                raise SpawnFailed("spawn-failed")
        except HubBusy:
            # Whoever really comes is to be taken on first.
            await self._give_up(server, "given-up")
        except SpawnFailed as exc:
            log.error("pool: server %s of profile %s did not start (%s)", server.id, server.profile, exc.reason)
            self._failed_at[server.hub, _sort(server)] = time.monotonic()
            await self._give_up(server, "failed")
        except Upstream as exc:
            log.warning("pool: server %s could not be looked up (%s)", server.id, exc.slug)

    async def _ask(self, server: Server) -> None:
        hub = self._hubs.called_for(server)
        taken_on = await hub.start(
            server.seat,
            server_id=server.id,
            origins=[],
            may=read(server.may),
            data_policy=server.data_policy,
            profile=server.profile,
            ahead=True,
        )
        if taken_on:
            self._asked.add(server.id)
        else:
            # Left over from before the service knew of this seat: and so may be what opened it.
            await hub.stop(server.seat)
            await hub.revoke_tokens(server.seat)

    async def _check(self, server: Server) -> None:
        try:
            running = await self._hubs.called_for(server).server(server.seat)
        except Upstream as exc:
            log.warning("pool: server %s could not be looked up (%s)", server.id, exc.slug)
            return
        if running is None or running.server_id != server.id:
            log.warning("pool: server %s in %s has died", server.id, server.seat)
            await self._give_up(server, "died")

    async def _run(self, server: Server, url: str) -> None:
        self._asked.discard(server.id)
        is_warming = (col(Server.id) == server.id, col(Server.state) == ServerState.WARMING)
        async with self._database.transaction() as db:
            ran = await db.exec(update(Server).where(*is_warming).values(state=ServerState.WARM, url=url))
        if ran.rowcount:
            POOL.labels("warm").inc()

    async def _give_up(self, server: Server, why: str) -> None:
        async with self._database.transaction() as db:
            await self._end(db, [server.id], why)

    async def _end(self, db: AsyncSession, ids: Collection[str], why: str) -> None:
        """Have those stopped that nobody has got at this moment."""
        self._asked.difference_update(ids)
        if ids:
            ended = await end_ahead(db, ids)
            once_committed(db, partial(POOL.labels(why).inc, ended))


def require_profiles(profiles: Profiles, settings: Mapping[str, PoolSettings]) -> None:
    """Raise `ValueError` if there is to be a pool of a profile that there is not."""
    if unknown := [name for name in settings if name not in profiles]:
        raise ValueError(f"INSET_POOL: there is no profile {', '.join(unknown)}")


async def _just_used(db: AsyncSession) -> Collection[str]:
    """Name the hubs at which somebody has got a server just now."""
    lately = now() - timedelta(seconds=_CALM_SECONDS)
    used = select(Server.hub).where(IS_SEATED, col(Server.host_id).is_not(None), col(Server.created_at) > lately)
    return (await db.exec(used.distinct())).all()


def _sort(server: Server) -> Sort:
    return Sort(server.may, server.data_policy, server.profile)
