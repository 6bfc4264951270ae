"""Emptying a seat that nobody has, claimed in the database first, as a session would, so that nobody gets it."""

import asyncio
import logging
from datetime import timedelta
from uuid import uuid4

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from inset.clock import now
from inset.db import HELD, Database
from inset.hub import SpawnFailed
from inset.hubs import Hub
from inset.models import Host, Server, ServerState
from inset.models.capabilities import read

log = logging.getLogger(__name__)

_CLAIMED = timedelta(seconds=120)
"""How long the replicas leave a claimed seat alone. If the command dies, they stop what is in it then."""
_LOOKS_EVERY = 0.5


async def clear(database: Database, hub: Hub, seat: str, server_id: str | None) -> bool:
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
