"""Sessions that the doctor opens for himself, as a user whom no host application has, and closes again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.audit import record
from inset.clock import now
from inset.db import Database
from inset.documents import empty_document, file_name
from inset.lifecycle import begin_ending
from inset.models import OVER, STARTING, Host, Notebook, Server, Session, SessionState
from inset.models.capabilities import read, written
from inset.models.data_policy import within
from inset.notebooks import create_notebook

_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Trial:
    """A session of the doctor's, as it has come out."""

    session: Session
    server: Server | None

    @property
    def ready(self) -> bool:
        """Whether its notebook could be opened now."""
        return self.session.state is SessionState.READY and self.server is not None

    @property
    def why_not(self) -> str:
        """Say what became of it instead."""
        failure = self.session.failure or {}
        return failure.get("code", str(self.session.state))


@asynccontextmanager
async def trials(database: Database, host: Host, *, count: int, within_time: timedelta) -> AsyncIterator[list[Trial]]:
    """Open restricted sessions of as many users, wait until each is ready or is not going to be, and close them.

    The service that runs beside this drives them. Their notebooks are deleted, and purged as all that are.
    """
    async with database.transaction() as db:
        sessions = [await _opened(db, host) for _ in range(count)]
    ids = [session.id for session in sessions]
    try:
        yield await _settled(database, ids, within_time)
    finally:
        async with database.transaction() as db:
            for id in ids:
                await begin_ending(db, await db.get_one(Session, id), "closed")
        async with asyncio.timeout(within_time.total_seconds()):
            while not await _all_over(database, ids):
                await asyncio.sleep(_LOOK_SECONDS)
        async with database.transaction() as db:
            notebooks = col(Notebook.id).in_([session.notebook_id for session in sessions])
            await db.exec(update(Notebook).where(notebooks).values(deleted_at=now()))


async def _opened(db: AsyncSession, host: Host) -> Session:
    user = f"inset-doctor-{uuid4().hex[:12]}"
    notebook = await create_notebook(db, host.id, user, "Egress", empty_document(), origin="api")
    may = written(within("restricted", read(host.may)))
    session = Session(
        host_id=host.id,
        owner=user,
        notebook_id=notebook.id,
        may=may,
        data_policy="restricted",
        path=f"work/{notebook.id}/{file_name(notebook.name)}",
        profile=host.profiles[0],
    )
    db.add(session)
    facts = {"may": read(may), "data_policy": session.data_policy}
    record(
        db, "session.opened", host_id=host.id, user=user, notebook_id=notebook.id, session_id=session.id, facts=facts
    )
    return session


async def _settled(database: Database, ids: Sequence[str], within_time: timedelta) -> list[Trial]:
    deadline = now() + within_time
    while True:
        async with database.transaction(read_only=True) as db:
            found = [await db.get_one(Session, id) for id in ids]
            servers = [await db.get(Server, one.server_id) if one.server_id else None for one in found]
        if all(one.state not in STARTING for one in found) or now() > deadline:
            return [Trial(*pair) for pair in zip(found, servers, strict=True)]
        await asyncio.sleep(_LOOK_SECONDS)


async def _all_over(database: Database, ids: Sequence[str]) -> bool:
    left = select(Session.id).where(col(Session.id).in_(ids), col(Session.state).not_in(OVER))
    async with database.transaction(read_only=True) as db:
        return (await db.exec(left)).first() is None
