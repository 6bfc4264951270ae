"""Hubs that take no new servers: kept in the database, so that all replicas hear of it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.audit import NO_HOST, record
from inset.clock import now
from inset.db import ask
from inset.engines.prepared import Prepared
from inset.models import Drain


async def drain(db: AsyncSession, hub: str, *, end_at: datetime | None) -> None:
    """Have a hub take no new servers; from a moment on, what is still there is saved and ended."""
    present = await db.get(Drain, hub)
    if present and present.end_at == end_at:
        return
    if present:
        present.end_at = end_at
    else:
        db.add(Drain(hub=hub, end_at=end_at))
    facts = {"hub": hub, "end_at": end_at.isoformat() if end_at else None}
    record(db, "hub.drained", host_id=NO_HOST, facts=facts)


async def resume(db: AsyncSession, hub: str) -> bool:
    """Have a hub take new servers again; tells whether it did not."""
    present = await db.get(Drain, hub)
    if present:
        await db.delete(present)
        record(db, "hub.resumed", host_id=NO_HOST, facts={"hub": hub})
    return present is not None


async def drains(db: AsyncSession) -> Mapping[str, Drain]:
    """Give the hubs that are being drained."""
    return {drain.hub: drain for drain in (await db.exec(select(Drain))).all()}


async def drained(db: AsyncSession) -> frozenset[str]:
    """Name the hubs that take no new servers."""
    return frozenset(drain.hub for drain in await ask(db, _DRAINED))


async def emptied(db: AsyncSession) -> frozenset[str]:
    """Name the hubs whose sessions are not to stay any longer."""
    return frozenset(drain.hub for drain in await ask(db, _EMPTIED, moment=now()))


_DRAINED = Prepared(select(Drain.hub))
_EMPTIED = Prepared(select(Drain.hub).where(col(Drain.end_at) <= bindparam("moment")))
