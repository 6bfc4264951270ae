"""What a server's save bridge is told at once: who may have a frame there, in whose pages, and who no longer.

A bridge takes in frames by itself, so it must hear of every end, wherever in the service that was decided. It is told
by one stream, which any replica can serve: nothing is asked of the database for a single stream while nothing happens.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from pydantic import BaseModel
from sqlalchemy import JSON, ColumnElement, bindparam
from sqlalchemy import select as select_columns
from sqlmodel import col, select

from inset.clock import now
from inset.db import Database, ask, listed, on_postgres, table
from inset.engines.prepared import Prepared
from inset.events import EventFeed, next_event
from inset.lifecycle import AT_ONCE, GRACE
from inset.metrics import STREAMS
from inset.models import Host, Server, ServerState, Session, SessionEvent, SessionState

log = logging.getLogger(__name__)

_LOOK_INTERVAL = 2.0
"""Seconds between two looks for servers that have stopped, or whose host application has other pages now."""


class Framed(BaseModel):
    """The sessions that may have a frame at this moment: a bridge ends whatever else it took in before it asked."""

    session_ids: list[str]
    origins: list[str]
    """The exact origins of the pages that the frames may be in."""


class Over(BaseModel):
    """A session that begins to end, or is over: its frames and websockets are cut within so many seconds."""

    session_id: str
    reason: str
    within: float


class CredentialsChanged(BaseModel):
    """A session whose host has passed other data credentials than before: a bridge fetches them."""

    session_id: str


class Control:
    """The control streams of this replica."""

    def __init__(self, database: Database, feed: EventFeed) -> None:
        self._database = database
        self._feed = feed
        self._servers: Counter[str] = Counter()
        """How many streams each server has here."""
        self._told: dict[str, tuple[str | None, list[str]]] = {}
        """Whose each of them is, if it is somebody's yet, and the origins that it was told last."""

    async def follow(self, server_id: str, *, until: datetime) -> AsyncIterator[Framed | Over | CredentialsChanged]:
        """Tell a server's bridge where it stands, then each session that ends, until the server has stopped."""
        self._servers[server_id] += 1
        STREAMS.labels("control").inc()
        try:
            async with self._feed.listening(server_id) as queue:
                # Listening first, read then: nothing can fall between. What comes twice does no harm.
                host_id, framed, ending = await self._state(server_id)
                self._told[server_id] = host_id, framed.origins
                yield framed
                for over in ending:
                    yield over
                while event := await next_event(queue, until=until):
                    if event.kind == "credentials":
                        yield CredentialsChanged(session_id=event.session_id)
                    elif over_now := _over(event):
                        yield over_now
        finally:
            STREAMS.labels("control").dec()
            self._servers[server_id] -= 1
            if not self._servers[server_id]:
                del self._servers[server_id]
                self._told.pop(server_id, None)

    async def watch(self) -> None:
        """End the streams that tell nothing or no longer the truth; runs for as long as the service does.

        A bridge follows anew at once, and is then told where it stands.
        """
        while True:
            await asyncio.sleep(_LOOK_INTERVAL)
            try:
                await self._end_outdated()
            except Exception:
                # Outlives a database that is away for a moment; the next round tries again.
                log.exception("control: the servers could not be looked up")

    async def _end_outdated(self) -> None:
        told = dict(self._told)
        if told:
            # Of the servers, however many, none is read but those that have stopped, or have become somebody's.
            ahead = [id for id, (host_id, _) in told.items() if host_id is None]
            async with self._database.transaction(read_only=True) as db:
                over = {row.id for row in await ask(db, _STOPPED[on_postgres(db)], told=list(told))}
                if ahead:
                    over |= {row.id for row in await ask(db, _TAKEN[on_postgres(db)], told=ahead)}
                origins = {row.id: row.origins for row in await ask(db, _ORIGINS)}
            for server_id, (host_id, before) in told.items():
                if server_id in over or (host_id is not None and origins.get(host_id) != before):
                    self._feed.close(server_id)

    async def _state(self, server_id: str) -> tuple[str | None, Framed, list[Over]]:
        framed = (SessionState.READY, SessionState.ENDING)
        wanted = select(Session).where(Session.server_id == server_id, col(Session.state).in_(framed))
        hosts = select(Server.host_id, Host.origins).outerjoin(Host).where(Server.id == server_id)
        async with self._database.transaction(read_only=True) as db:
            sessions = (await db.exec(wanted)).all()
            host_id, origins = (await db.exec(hosts)).one()
        # One that is still asked for its edits keeps its frames for as long as that may take.
        ending = [
            _over_since(session.id, session.ending_reason or "", session.ending_at or now())
            for session in sessions
            if session.state is SessionState.ENDING
        ]
        # One that is nobody's yet is framed by nobody.
        framed_by = Framed(session_ids=[session.id for session in sessions], origins=origins or [])
        return host_id, framed_by, ending


def _of_those_told(which: ColumnElement[bool]) -> dict[bool, Prepared]:
    """Find those of many servers of which something is true; by whether PostgreSQL is asked."""
    found = {}
    for postgres in (False, True):
        told = listed(bindparam("told", type_=JSON), postgres=postgres)
        mine = select_columns(col(Server.id)).join_from(table(Server), told, col(Server.id) == told.c.value)
        found[postgres] = Prepared(mine.where(which))
    return found


_STOPPED = _of_those_told(col(Server.state) == ServerState.STOPPED)
_TAKEN = _of_those_told(col(Server.host_id).is_not(None))
_ORIGINS = Prepared(select_columns(table(Host).c.id, table(Host).c.origins))


def _over(event: SessionEvent) -> Over | None:
    """Tell what an event means for frames. Every `ended` was told as `ending` before."""
    match event.kind:
        case "ending":
            return _over_since(event.session_id, event.data["reason"], event.created_at)
        case "failed":
            return Over(session_id=event.session_id, reason="failed", within=0)
        case _:
            return None


def _over_since(session_id: str, reason: str, since: datetime) -> Over:
    left = timedelta() if reason in AT_ONCE else since + GRACE - now()
    # Whatever another replica's clock says.
    within = min(max(left, timedelta()), GRACE)
    return Over(session_id=session_id, reason=reason, within=within.total_seconds())
