"""The queue: who gets a place when one is free, and what the others are told.

All that it goes by is in the database; any replica may give places out, one at a time. What a replica remembers is only
what it last read, to answer from.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, func
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import Database, alone, ask
from inset.engines.prepared import Prepared
from inset.errors import QueueFull
from inset.events import EventFeed
from inset.hubs import Hubs
from inset.lifecycle import fail
from inset.metrics import QUEUE_REFUSED
from inset.models import HUB_SILENT, Server, Session, SessionState
from inset.profiles import Profiles
from inset.room import read_room
from inset.servers import give_back, is_served, kind_of, seat_for
from inset.turns import Kind, Place, Room, Turn, Waiting, estimated, pace, silent_for, turn

_GIVEN_AT_ONCE = 50
_LONG = 50
_LONG_READ_SECONDS = 0.25
"""A long queue is not read more often than this, however many join it."""
_TOLD_SECONDS = 1.5
_PACE_SECONDS = 5.0
_MEASURED = 200
_MEASURED_WITHIN = timedelta(hours=1)

_SEATED = col(Session.server_id).is_not(None)
_SILENT = and_(_SEATED, col(Session.message) == HUB_SILENT)
_READ: list[Any] = [Session.id, *kind_of(Session), Session.created_at, _SEATED, _SILENT]
_WAITING = Prepared(select(*_READ).where(col(Session.state) == SessionState.QUEUED))
_UNSEATED = (Session.state == SessionState.QUEUED, col(Session.server_id).is_(None))


class Lease(NamedTuple):
    """Who is to drive a session that gets a place, and until when nobody else does."""

    owner: str
    until: datetime


@dataclass(frozen=True)
class Look:
    """What one reading found."""

    waiting: Sequence[Waiting]
    room: Room
    turn: Turn


_NOBODY = Look((), Room(), turn((), Room()))


class Queue:
    """Gives places to the sessions that wait, and knows where each of them stands."""

    def __init__(
        self,
        database: Database,
        feed: EventFeed,
        profiles: Profiles,
        hubs: Hubs,
        *,
        longest_wait: timedelta,
        length: int,
    ) -> None:
        """`length` is how many sessions of one host application may wait at once."""
        self._database = database
        self._feed = feed
        self._profiles = profiles
        self._hubs = hubs
        self._longest_wait = longest_wait
        self._length = length
        self._places: Mapping[str, Place] = {}
        self._paces: Mapping[str | None, timedelta | None] = {}
        self._read_at = self._told_at = self._measured_at = float("-inf")

    def place(self, session_id: str) -> Place | None:
        """Say where a session stands, as of a moment ago; None if it does not wait, or was not seen waiting yet."""
        return self._places.get(session_id)

    async def move_up(self, lease: Lease) -> Sequence[str]:
        """Give out what places there are, give up who has waited for too long, and tell the others where they stand.

        Names the sessions that got a place; each of them has the lease.
        """
        if len(self._places) >= _LONG and time.monotonic() < self._read_at + _LONG_READ_SECONDS:
            return ()
        given: Sequence[str] = ()
        async with self._database.transaction(read_only=True) as db:
            waiting = await self._waiting(db)
            # As a rule there is a place for who has just come: to look first would take as long as to give it.
            new = any(not one.seated and one.id not in self._places for one in waiting)
            look = None if new else await self._measured(db, waiting)
        self._read_at = time.monotonic()
        if look is None or look.turn.admitted or self._overdue(look):
            given, after = await self._give_out(lease)
            look = after or look
        if look:
            self._publish(look)
        return given

    async def check(self, db: AsyncSession, session: Session, *, most: int | None) -> None:
        """Raise `QueueFull` if as many of a new session's host application wait as may, and it would have to wait, too.

        `most` is the host application's own limit.
        """
        most = min(self._length, most or self._length)
        waiting = select(func.count()).where(Session.host_id == session.host_id, *_UNSEATED)
        if (count := (await db.exec(waiting)).one()) < most:
            return
        room = await read_room(db, self._hubs, self._profiles)
        # Those for whom there is a seat only wait for the next round.
        if count >= most + room.seats_for(session.host_id) and not await is_served(db, session):
            QUEUE_REFUSED.labels(session.host_id).inc()
            raise QueueFull(most)

    async def reconsider(self, session_id: str) -> bool:
        """Take a seat back from a session whose start its hub has just refused, if another hub may take it sooner.

        Tells whether it waits for its next turn now.
        """
        async with self._database.transaction() as db:
            session = await db.get_one(Session, session_id)
            server = await db.get(Server, session.server_id) if session.server_id else None
            if server is None or not (await read_room(db, self._hubs, self._profiles)).is_better_without(
                server.hub, session.host_id
            ):
                return False
            return await give_back(db, server.id)

    async def _give_out(self, lease: Lease) -> tuple[Sequence[str], Look | None]:
        """Do what is due, and look again; no look if another replica is just doing it."""
        placed = []
        try:
            async with self._database.transaction() as db:
                if not await alone(db):
                    return (), None
                look = await self.look(db)
                overdue, given = self._overdue(look)[:_GIVEN_AT_ONCE], look.turn.admitted[:_GIVEN_AT_ONCE]
                held = select(Session).where(col(Session.id).in_([*overdue, *given]), *_UNSEATED)
                held = held.order_by(col(Session.id)).with_for_update(key_share=True)
                left = {one.id for one in look.waiting}.difference(overdue)
                # Whoever was closed at this moment is not among them any more.
                sessions = {session.id: session for session in (await db.exec(held)).all()}
                for id in overdue:
                    if session := sessions.pop(id, None):
                        await fail(db, session, self._reason(look, session))
                for id in given:
                    session = sessions.get(id)
                    hub = self._hubs.named(look.turn.hubs.get(id))
                    if session is None:
                        continue
                    made_of = self._profiles.made_of(session.profile)
                    if server := await seat_for(db, session, hub, made_of=made_of):
                        session.server_id = server.id
                        session.lease_owner, session.lease_until = lease
                        placed.append(id)
            if left.issubset(placed):
                return placed, _NOBODY
            async with self._database.transaction(read_only=True) as db:
                return placed, await self._measured(db, await self._waiting(db))
        except IntegrityError:
            return (), None  # somebody took this seat who does not queue: `inset sweep`

    async def look(self, db: AsyncSession) -> Look:
        """Read who waits, and whose turn it is."""
        return await self._looked(db, await self._waiting(db))

    async def _waiting(self, db: AsyncSession) -> Sequence[Waiting]:
        rows = await ask(db, _WAITING)
        return [Waiting(id, Kind(*kind), since, seated, silent) for id, *kind, since, seated, silent in rows]

    async def _looked(self, db: AsyncSession, waiting: Sequence[Waiting]) -> Look:
        room = await read_room(db, self._hubs, self._profiles, waiting) if waiting else Room()
        return Look(waiting, room, turn(waiting, room))

    async def _measured(self, db: AsyncSession, waiting: Sequence[Waiting]) -> Look:
        """Read whose turn it is, and now and then how fast the queue moves."""
        look = await self._looked(db, waiting)
        if waiting and time.monotonic() > self._measured_at + _PACE_SECONDS:
            self._paces = await self._measure(db, look)
            self._measured_at = time.monotonic()
        return look

    async def _measure(self, db: AsyncSession, look: Look) -> Mapping[str | None, timedelta | None]:
        """Measure how fast the queue has moved of late; by profile where that has one of its own, None for the rest."""
        time = now()
        left = select(Session.profile, Session.created_at, Session.started_at).where(
            col(Session.started_at) > time - _MEASURED_WITHIN
        )
        rows = (await db.exec(left.order_by(col(Session.started_at).desc()).limit(_MEASURED))).all()
        paces: dict[str | None, timedelta | None] = {}
        for lane in (None, *look.turn.full):
            waits = [(since, at) for profile, since, at in rows if at and lane in (None, profile)]
            since = min((one.since for one in look.waiting if lane in (None, one.kind.profile)), default=None)
            paces[lane] = pace(waits, waiting_since=since, now=time)
        return paces

    def _overdue(self, look: Look) -> list[str]:
        """Name those who have waited for too long. Whoever has a seat is looked after by who asks the hub for it."""
        oldest = now() - self._longest_wait
        return [one.id for one in look.waiting if one.since < oldest and not one.seated]

    def _reason(self, look: Look, session: Session) -> str:
        if session.profile in look.turn.full:
            return "profile-full"
        return "no-seat" if look.room.seats_for(session.host_id) <= 0 else "hub-busy"

    def _publish(self, look: Look) -> None:
        kinds = {one.id: one.kind for one in look.waiting}
        silent = silent_for(look.waiting, look.room)
        places = {}
        for id, position in look.turn.positions.items():
            profile, host_id = kinds[id].profile, kinds[id].host_id
            lane = profile if profile in look.turn.full else None
            places[id] = Place(position, estimated(position, self._paces.get(lane)), host_id in silent)
        self._places = places
        if places and time.monotonic() > self._told_at + _TOLD_SECONDS:
            self._told_at = time.monotonic()
            self._feed.tell_places(places)
