"""`inset sweep`: finds what belongs to nobody, at the hub and in the database, and puts it in order.

It is safe beside live traffic: a seat is claimed in the database, as a session would, before anything in it is touched.
Replicas look after whatever they know of by themselves. This is for what nobody knows of any more: a database was
restored, a seat was started by hand, something went wrong that nobody foresaw.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal
from uuid import uuid4

from sqlalchemy import ColumnElement
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from inset.clock import now
from inset.db import HELD, Database
from inset.errors import HubUnavailable
from inset.hub import SpawnFailed
from inset.hubs import Hub, Hubs
from inset.lifecycle import fail
from inset.models import OPEN, OVER, Host, Server, ServerState, Session
from inset.models.capabilities import read
from inset.servers import let_go

log = logging.getLogger(__name__)

_CLAIMED = timedelta(seconds=120)
"""How long the replicas leave a claimed seat alone. If the command dies, they stop what is in it then."""
_LOOKS_EVERY = 0.5

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
            yield Orphan("server", seat, done=not dry_run and await _clear(database, hub, seat, running.server_id))
        elif (left := await hub.client.leftover(seat)) is not None:
            cleared = not dry_run and await _clear(database, hub, seat, left or None)
            yield Orphan("container", seat, done=cleared)
        elif await hub.client.has_tokens(seat):
            yield Orphan("tokens", seat, done=not dry_run and await _clear(database, hub, seat, None))


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


async def _clear(database: Database, hub: Hub, seat: str, server_id: str | None) -> bool:
    """Empty a seat that nobody has, and nobody gets meanwhile; tells whether it is empty.

    Its bridge, if the database still knows the server, sends what it owes when it is stopped.
    """
    claimed = await _claim(database, hub, seat, server_id)
    if claimed is None:
        return False
    try:
        async with asyncio.timeout(_CLAIMED.total_seconds() / 2):
            await _taken_over(database, hub, seat, claimed)
            while await hub.client.server(seat):
                await hub.client.stop(seat)
                await asyncio.sleep(_LOOKS_EVERY)
            while await hub.client.leftover(seat) is not None:
                await hub.client.remove_leftover(seat)
                await asyncio.sleep(_LOOKS_EVERY)
            await hub.client.revoke_tokens(seat)
    except TimeoutError:
        return False
    async with database.transaction() as db:
        (await db.get_one(Server, claimed)).state = ServerState.STOPPED
    return True


async def _taken_over(database: Database, hub: Hub, seat: str, server_id: str) -> None:
    """Have the hub know a server again that it had forgotten, so that its bridge is believed when it sends."""
    if await hub.client.leftover(seat) != server_id:
        return
    async with database.transaction(read_only=True) as db:
        server = await db.get_one(Server, server_id)
    if not server.owner:
        # Nobody's, as what was claimed for a container of an unknown server: nothing is taken from it.
        return
    try:
        await hub.client.start(
            seat,
            server_id=server.id,
            origins=[],
            may=read(server.may),
            data_policy=server.data_policy,
            profile=server.profile,
        )
        while (running := await hub.client.server(seat)) and not running.ready:
            await asyncio.sleep(_LOOKS_EVERY)
    except SpawnFailed:
        # It does not answer any more. What it owed went with it, or comes when it is stopped.
        log.warning("server %s in %s could not be taken over", server_id, seat)


async def _claim(database: Database, hub: Hub, seat: str, server_id: str | None) -> str | None:
    """Take a seat as a session does, so that none can; None if one has it, or there is no host application at all."""
    try:
        async with database.transaction() as db:
            server = await db.get(Server, server_id, with_for_update=HELD) if server_id else None
            if server and ((server.hub, server.seat) != (hub.name, seat) or server.state is not ServerState.STOPPED):
                return None
            if server is None:
                host_id = (await db.exec(select(Host.id).order_by(col(Host.id)).limit(1))).first()
                if host_id is None:
                    return None
                # Of no user: the empty name is nobody's.
                id = server_id or uuid4().hex
                server = Server(id=id, host_id=host_id, owner="", may="", hub=hub.name, seat=seat)
            server.state, server.checked_at = ServerState.STOPPING, now() + _CLAIMED
            db.add(server)
            await db.flush()
            return server.id
    except IntegrityError:
        return None
