"""What happens to sessions: written to a table with a growing id, and told to whoever follows."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func
from sqlalchemy import select as select_columns
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import Database, ask, news, table, write_in_order
from inset.engines.prepared import Prepared
from inset.metrics import STREAMS
from inset.models import HUB_SILENT, WAITING, Session, SessionEvent, SessionState, waits_for
from inset.turns import Place

log = logging.getLogger(__name__)

FINAL = ("ended", "failed")
"""The kinds of event after which a session's stream closes."""

_POLL_SECONDS = 0.2
"""Between two looks for what other replicas have told. What this one tells is looked for as soon as it is committed."""

Queue = asyncio.Queue[SessionEvent | None]
"""New events as they happen; None where there will be no more.

One without an id is not recorded: where a session stands in the queue, which is soon no longer so.
"""


def tell(db: AsyncSession, session_id: str, kind: str, **data: Any) -> None:
    """Record an event in the transaction that makes it true."""
    # In order: who has seen one event is told of none before it any more.
    row = {"session_id": session_id, "kind": kind, "data": data, "created_at": now()}
    write_in_order(db, SessionEvent, lambda: row)
    news(db)


class EventFeed:
    """Hands new events to this replica's followers. One query at a time watches the table, however many follow."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._followers: dict[str, set[Queue]] = defaultdict(set)
        """By the id of a session, or of a server whose sessions are meant."""
        self._told_places: dict[Queue, Place] = {}
        """What the followers of those who wait heard last."""
        self._followed = asyncio.Event()
        self._watching = asyncio.Event()
        """Set while every event after `_seen` will be handed out."""
        self._seen = 0
        self._ended = False

    async def watch(self) -> None:
        """Poll for new events while there are followers; runs for as long as the service does."""
        while True:
            try:
                await self._watch_while_followed()
            except Exception:
                # Outlives a database that is away for a moment; streams go on from where they are.
                log.exception("events: could not be read")
                await asyncio.sleep(_POLL_SECONDS)

    async def _watch_while_followed(self) -> None:
        await self._followed.wait()
        if not self._watching.is_set():
            self._seen = await self._newest()
            self._watching.set()
        while self._followers:
            self._database.news.clear()
            async with self._database.transaction(read_only=True) as db:
                new = await ask(db, _LATER, after=self._seen)
            for *event, server_id in new:
                told = _event(event)
                self._seen = told.id or self._seen
                for followed in (told.session_id, server_id):
                    for queue in self._followers.get(followed or "", ()):
                        queue.put_nowait(told)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._database.news.wait()
        self._followed.clear()
        self._watching.clear()

    @asynccontextmanager
    async def listening(self, id: str) -> AsyncIterator[Queue]:
        """Give the queue of what happens from now on to a session, or to the sessions of a server."""
        queue: Queue = asyncio.Queue()
        self._followers[id].add(queue)
        self._followed.set()
        try:
            await self._watching.wait()
            if self._ended:
                queue.put_nowait(None)
            yield queue
        finally:
            self._told_places.pop(queue, None)
            self._followers[id].discard(queue)
            if not self._followers[id]:
                del self._followers[id]

    def tell_places(self, places: Mapping[str, Place]) -> None:
        """Tell this replica's followers of the sessions that wait where these stand, if they have not heard it yet."""
        for id in self._followers.keys() & places.keys():
            for queue in self._followers[id]:
                if self._told_places.get(queue) != places[id]:
                    self._told_places[queue] = places[id]
                    queue.put_nowait(SessionEvent(session_id=id, kind="progress", data=waiting(places[id])))

    def close(self, id: str) -> None:
        """Tell those who listen to a session or a server that there is nothing more to hear."""
        for queue in self._followers.get(id, ()):
            queue.put_nowait(None)

    async def end_when(self, closing: asyncio.Event) -> None:
        """Once the service is being stopped, tell everybody that there is nothing more to hear from this replica."""
        await closing.wait()
        self._ended = True
        for id in self._followers:
            self.close(id)

    async def follow(
        self, session_id: str, *, after: int = 0, live: bool = True, queued: bool = False, until: datetime
    ) -> AsyncIterator[SessionEvent]:
        """Give a session's events from the one after `after` on, until a final one; if not `live`, those recorded.

        If it is `queued`, also where it stands, until it leaves the queue.
        """
        with STREAMS.labels("session").track_inprogress():
            async with self.listening(session_id) as queue:
                # Listening first, read then: nothing can fall between. What comes twice is passed over by its id.
                for event in await self._since(session_id, after):
                    after = event.id or after
                    queued = queued and not _leaves_queue(event)
                    yield event
                    if event.kind in FINAL:
                        return
                while live and (new := await next_event(queue, until=until)):
                    queued = queued and not _leaves_queue(new)
                    # What is known of the queue may be older than what was told of the session.
                    if queued if new.id is None else new.id > after:
                        yield new
                        if new.kind in FINAL:
                            return

    async def _since(self, session_id: str, after: int) -> list[SessionEvent]:
        async with self._database.transaction(read_only=True) as db:
            return [_event(row) for row in await ask(db, _SINCE, session=session_id, after=after)]

    async def _newest(self) -> int:
        async with self._database.transaction(read_only=True) as db:
            return (await ask(db, _NEWEST))[0].id or 0


def waiting(place: Place | None) -> dict[str, Any]:
    """Describe a session that waits, as a `progress` event does."""
    position, estimated_wait, silent = place or (None, None, False)
    message = HUB_SILENT if silent else WAITING
    return {
        "percent": 0,
        "message": message,
        "waits_for": waits_for(message),
        "state": SessionState.QUEUED,
        "position": position,
        "estimated_wait": estimated_wait,
    }


def _leaves_queue(event: SessionEvent) -> bool:
    if event.kind == "progress":
        return event.data.get("state") != SessionState.QUEUED
    return event.kind in ("ending", *FINAL)


async def next_event(queue: Queue, *, until: datetime) -> SessionEvent | None:
    """Wait for what happens next; None if nothing more will, or not before `until`."""
    try:
        async with asyncio.timeout(max((until - now()).total_seconds(), 0)):
            return await queue.get()
    except TimeoutError:
        return None


def _event(row: Iterable[Any]) -> SessionEvent:
    return SessionEvent(**dict(zip(_NAMES, row, strict=True)))


_COLUMNS, _SESSIONS = table(SessionEvent).columns, table(Session)
_NAMES = _COLUMNS.keys()
_LATER = Prepared(
    select_columns(*_COLUMNS, _SESSIONS.columns.server_id)
    .join(_SESSIONS, _SESSIONS.columns.id == _COLUMNS.session_id)
    .where(_COLUMNS.id > bindparam("after"))
    .order_by(_COLUMNS.id)
)
_SINCE = Prepared(
    select_columns(*_COLUMNS)
    .where(_COLUMNS.session_id == bindparam("session"), _COLUMNS.id > bindparam("after"))
    .order_by(_COLUMNS.id)
)
_NEWEST = Prepared(select_columns(func.max(_COLUMNS.id).label("id")))
