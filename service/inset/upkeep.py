"""Looking after servers: stopping those let go, noticing those that died or idle, recovering what the dead still owe,
sweeping what has expired."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from datetime import timedelta
from math import ceil
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, func
from sqlmodel import col, select

from inset import audit, webhooks
from inset.clock import now
from inset.db import Database, ask
from inset.draining import emptied
from inset.engines.prepared import Prepared
from inset.errors import Upstream
from inset.hub import SpawnFailed
from inset.hubs import Hubs
from inset.lifecycle import begin_ending, bury, end_sessions
from inset.lookout import Lookout
from inset.models import (
    OPEN,
    CallCount,
    Host,
    IdempotencyKey,
    Limits,
    Revocation,
    Server,
    ServerState,
    Session,
    SessionEvent,
    SessionState,
    UsedTicket,
)
from inset.models.capabilities import read
from inset.profiles import Profiles
from inset.rounds import repeat
from inset.servers import take_due

log = logging.getLogger(__name__)

_ROUND_SECONDS = 0.5
_FEW = 10
"""How many servers are looked up in one go at least, where so many are due."""
_MANY = 50
"""Of more running servers their hubs are asked for all at once, twice in a check's interval."""
_CHECKS_APART_SECONDS = 0.02
"""By how much they are apart at the most: those of a few servers don't have to wait."""
_STOP_INTERVAL = timedelta(seconds=1)
_RECOVERY = timedelta(seconds=60)
"""How long it is tried to start a server that died once more."""
_SWEEP_INTERVAL = timedelta(minutes=5)
_CLOCKS_APART = timedelta(minutes=5)
_EVENTS_KEPT = timedelta(days=7)
KEY_LIFETIME = timedelta(hours=24)
"""How long an `Idempotency-Key` is remembered."""


class Upkeep:
    """Rounds of small duties, each taken by the replica that gets to it first."""

    def __init__(
        self,
        database: Database,
        hubs: Hubs,
        *,
        check_interval: timedelta,
        profiles: Profiles,
        longest_token: timedelta,
        audit_kept_for: timedelta,
        webhooks_kept_for: timedelta,
    ) -> None:
        """`longest_token` is for how long after its signing a host's JWT can be good."""
        self._database = database
        self._hubs = hubs
        self._check_interval = check_interval
        self._lookout = Lookout(check_interval / 2)
        self._profiles = profiles
        self._longest_token = longest_token
        self._audit_kept_for = audit_kept_for
        self._webhooks_kept_for = webhooks_kept_for
        self._swept_at = now() - _SWEEP_INTERVAL

    async def run(self) -> None:
        """Look after what is due, for as long as the service runs."""
        duties = (self._round, self._check_some)
        await asyncio.gather(*(repeat(duty, of="upkeep", every=_ROUND_SECONDS) for duty in duties))

    async def _round(self) -> None:
        stopping = await take_due(self._database, self._hubs, ServerState.STOPPING, _STOP_INTERVAL)
        recovering = await take_due(self._database, self._hubs, ServerState.RECOVERING, _STOP_INTERVAL)
        await asyncio.gather(*map(self._stop, stopping), *map(self._recover, recovering))
        await self._end_expired()
        await self._empty_hubs()
        if self._swept_at + _SWEEP_INTERVAL < now():
            await self._sweep()

    async def _check_some(self) -> None:
        """Look up those running servers that are due, a few at a time and one after the other.

        Those that became due at once would else be looked up at once from then on, and everybody else wait meanwhile.
        """
        async with self._database.transaction(read_only=True) as db:
            [(running,)] = await ask(db, _RUNNING)
        # Twice what is due while this takes: who is late is caught up with before being due again.
        most = _FEW + ceil(2 * running * 2 * _ROUND_SECONDS / self._check_interval.total_seconds())
        due = await take_due(self._database, self._hubs, ServerState.RUNNING, self._check_interval, most=most)
        if not due:
            return
        idle_timeouts = await self._idle_timeouts({str(server.host_id) for server in due})
        apart = min(_ROUND_SECONDS / len(due), _CHECKS_APART_SECONDS)
        async with asyncio.TaskGroup() as checks:
            for server in due:
                checks.create_task(self._check(server, idle_timeouts[str(server.host_id)], of_many=running > _MANY))
                await asyncio.sleep(apart)

    async def _stop(self, server: Server) -> None:
        try:
            hub = self._hubs.called_for(server)
            running = await hub.server(server.seat)
            ours = running is not None and running.server_id == server.id
            stopped = await hub.stop(server.seat) if ours else True
            if stopped:
                await hub.revoke_tokens(server.seat)
        except Upstream as exc:
            log.warning("server %s: could not be stopped yet (%s)", server.id, exc.slug)
            return
        if stopped:
            async with self._database.transaction() as db:
                stopped_now = await db.get_one(Server, server.id)
                stopped_now.state = ServerState.STOPPED
                if stopped_now.host_id is None:
                    # Nobody ever had it, and nobody asks for it.
                    await db.delete(stopped_now)

    async def _check(self, server: Server, hosts_idle_timeout: timedelta | None, *, of_many: bool) -> None:
        try:
            hub = self._hubs.called_for(server)
            running = await (self._lookout.find(hub, server) if of_many else hub.server(server.seat))
        except Upstream as exc:
            log.warning("server %s: could not be looked up (%s)", server.id, exc.slug)
            return
        if running is None or running.server_id != server.id:
            log.warning("server %s in %s has died", server.id, server.seat)
            async with self._database.transaction() as db:
                await bury(db, await db.get_one(Server, server.id))
            return
        # What a bridge tells is work. The hub's own measure, for servers without one, is every request there was.
        active_at = server.active_at or running.last_activity
        idle_timeout = self._profiles.idle_timeout(server.profile, host=hosts_idle_timeout)
        if active_at and active_at + idle_timeout < now():
            await self._end_idle(server, idle_timeout)

    async def _recover(self, server: Server) -> None:
        """Start a dead server once more, if its folder survived, and have it stopped: it sends what it owed."""
        try:
            if await self._is_on_its_way(server):
                return
        except SpawnFailed:
            log.error("server %s: could not be started again; what it had not sent is lost", server.id)
        except Upstream as exc:
            log.warning("server %s: could not be recovered yet (%s)", server.id, exc.slug)
            if not _given_up(server):
                return
        async with self._database.transaction() as db:
            (await db.get_one(Server, server.id)).state = ServerState.STOPPING

    async def _is_on_its_way(self, server: Server) -> bool:
        """Tell whether to wait for a dead server's next start, asking for it where there is none."""
        if _given_up(server):
            return False
        hub = self._hubs.called_for(server)
        running = await hub.server(server.seat)
        if running is None:
            # Its old frames must not come back in; nor may anybody frame it.
            await hub.revoke_tokens(server.seat)
            await hub.start(
                server.seat,
                server_id=server.id,
                origins=[],
                may=read(server.may),
                data_policy=server.data_policy,
                profile=server.profile,
            )
            return True
        return not running.ready

    async def _idle_timeouts(self, host_ids: Collection[str]) -> Mapping[str, timedelta | None]:
        """Give what host applications have set for themselves."""
        async with self._database.transaction(read_only=True) as db:
            hosts = (await db.exec(select(Host.id, Host.limits).where(col(Host.id).in_(host_ids)))).all()
        return {id: Limits.model_validate(limits).idle_timeout for id, limits in hosts}

    async def _end_idle(self, server: Server, idle_timeout: timedelta) -> None:
        async with self._database.transaction() as db:
            using = select(Session).where(Session.server_id == server.id, col(Session.state).in_(OPEN))
            sessions = (await db.exec(using.order_by(col(Session.id)))).all()
            # The hub hears of activity with minutes of delay; a session that was opened since is activity too.
            if any(session.created_at + idle_timeout > now() for session in sessions):
                return
            for session in sessions:
                await begin_ending(db, session, "idle")

    async def _end_expired(self) -> None:
        """Have every session saved and closed that has lasted as long as it may."""
        moment = now()
        async with self._database.transaction(read_only=True) as db:
            if not await ask(db, _EXPIRED, moment=moment):
                return
        async with self._database.transaction() as db:
            await end_sessions(db, *_expired(moment), reason="expired")

    async def _empty_hubs(self) -> None:
        """Have every session saved and closed that is still at a hub from which all are to be gone by now."""
        async with self._database.transaction(read_only=True) as db:
            if not (hubs := await emptied(db)):
                return
            there = (
                col(Session.server_id).in_(
                    select(Server.id).where(col(Server.hub).in_(hubs), Server.state != ServerState.STOPPED)
                ),
                # Who only waits for a start there is placed on another.
                col(Session.state).in_(OPEN) & (col(Session.state) != SessionState.QUEUED),
            )
            if (await db.exec(select(Session.id).where(*there).limit(1))).first() is None:
                return
        async with self._database.transaction() as db:
            await end_sessions(db, *there, reason="maintenance")

    async def _sweep(self) -> None:
        self._swept_at = now()
        async with self._database.transaction() as db:
            # A while after its end: another replica's clock may be behind, and would take a ticket for fresh.
            await db.exec(delete(UsedTicket).where(col(UsedTicket.expires_at) < now() - _CLOCKS_APART))
            dead = now() - self._longest_token - _CLOCKS_APART
            await db.exec(delete(Revocation).where(col(Revocation.revoked_at) < dead))
            await db.exec(delete(CallCount).where(col(CallCount.minute) < now() - _CLOCKS_APART))
            await db.exec(delete(SessionEvent).where(col(SessionEvent.created_at) < now() - _EVENTS_KEPT))
            await audit.forget(db, self._audit_kept_for)
            await webhooks.forget(db, self._webhooks_kept_for)
            await db.exec(delete(IdempotencyKey).where(col(IdempotencyKey.created_at) < now() - KEY_LIFETIME))


def _expired(moment: Any) -> tuple[ColumnElement[bool], ...]:
    """Meet who has lasted as long as it may at a moment, or at one that is said later (`bindparam`)."""
    return col(Session.state).in_(OPEN), col(Session.expires_at) < moment


# Asked all the time, and nearly always in vain.
_RUNNING = Prepared(select(func.count()).where(col(Server.state) == ServerState.RUNNING))
_EXPIRED = Prepared(select(Session.id).where(*_expired(bindparam("moment"))).limit(1))


def _given_up(server: Server) -> bool:
    return server.died_at is None or server.died_at + _RECOVERY < now()
