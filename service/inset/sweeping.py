"""`inset sweep`: finds what belongs to nobody, at the hub and in the database, and puts it in order.

It is safe beside live traffic: a seat is claimed in the database, as a session would, before anything in it is touched.
Replicas look after whatever they know of by themselves. This is for what nobody knows of any more: a database was
restored, a seat was started by hand, something went wrong that nobody foresaw.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import ColumnElement
from sqlmodel import col, select

from inset.clearing import clear
from inset.db import Database
from inset.errors import HubUnavailable
from inset.hubs import Hub, Hubs
from inset.lifecycle import fail
from inset.models import OPEN, OVER, Server, ServerState, Session
from inset.servers import let_go

_SERVING = (ServerState.STARTING, ServerState.RUNNING)


@dataclass(frozen=True)
class Orphan:
    """Something that belongs to nobody."""

    kind: Literal["server", "container", "tokens", "session", "unused"]
    name: str
    """The seat with its hub, or the id of the session or of the server."""

    done: bool = False
    """Whether it is gone now, or on its way."""

    def __str__(self) -> str:
        told = {
            "server": "the hub runs a server in {}, which is nobody's",
            "container": "a container is in {}, which the hub does not know any more",
            "tokens": "tokens still open {}, which is nobody's",
            "session": "session {} has lost its server",
            "unused": "server {} is used by no session",
        }
        return told[self.kind].format(self.name)


async def sweep(database: Database, hubs: Hubs, *, dry_run: bool = False) -> AsyncIterator[Orphan]:
    """Find every orphan, and put it in order unless it is only to be told.

    Raises `HubUnavailable` if a hub does not answer, when all others are swept.
    """
    async for id in _ids(database, Session.id, _bereft()):
        yield Orphan("session", id, done=not dry_run and await _fail(database, id))
    async for id in _ids(database, Server.id, _unused()):
        if not dry_run:
            async with database.transaction() as db:
                await let_go(db, id)
        yield Orphan("unused", id, done=not dry_run)
    away: HubUnavailable | None = None
    for hub in hubs:
        try:
            async for orphan in _sweep_seats(database, hub, dry_run=dry_run):
                yield orphan if len(hubs) == 1 else replace(orphan, name=f"{orphan.name} of {hub.name}")
        except HubUnavailable as exc:
            away = exc
    if away:
        raise away


async def _sweep_seats(database: Database, hub: Hub, *, dry_run: bool) -> AsyncIterator[Orphan]:
    async with database.transaction(read_only=True) as db:
        seated = select(Server.seat).where(Server.hub == hub.name, Server.state != ServerState.STOPPED)
        taken = set((await db.exec(seated)).all())
    for seat in hub.seats:
        if seat in taken:
            continue
        running = await hub.client.server(seat)
        if running:
            yield Orphan("server", seat, done=not dry_run and await clear(database, hub, seat, running.server_id))
        elif (left := await hub.client.leftover(seat)) is not None:
            cleared = not dry_run and await clear(database, hub, seat, left or None)
            yield Orphan("container", seat, done=cleared)
        elif await hub.client.has_tokens(seat):
            yield Orphan("tokens", seat, done=not dry_run and await clear(database, hub, seat, None))


def _bereft() -> ColumnElement[bool]:
    """Meet the sessions that are open although the server is let go that they are on."""
    gone = select(Server.id).where(Server.id == Session.server_id, col(Server.state).not_in(_SERVING)).exists()
    return col(Session.state).in_(OPEN) & gone


def _unused() -> ColumnElement[bool]:
    using = select(Session.id).where(Session.server_id == Server.id, col(Session.state).not_in(OVER)).exists()
    return col(Server.state).in_(_SERVING) & ~using


async def _ids(database: Database, id: str, which: ColumnElement[bool]) -> AsyncIterator[str]:
    async with database.transaction(read_only=True) as db:
        found = (await db.exec(select(id).where(which))).all()
    for one in found:
        yield one


async def _fail(database: Database, session_id: str) -> bool:
    async with database.transaction() as db:
        wanted = select(Session).where(Session.id == session_id, _bereft()).with_for_update(key_share=True)
        session = (await db.exec(wanted)).one_or_none()
        if session:
            await fail(db, session, "server-died")
        return session is not None
