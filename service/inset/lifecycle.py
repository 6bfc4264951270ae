"""How a session changes its state: by compare-and-set, with the event that tells of it, in one transaction."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.audit import record
from inset.clock import now
from inset.db import HELD, once_committed
from inset.events import tell
from inset.failures import failure
from inset.metrics import SESSIONS_ENDED, SESSIONS_FAILED
from inset.models import OPEN, Action, DataCredentialRow, Server, ServerState, Session, SessionState, waits_for
from inset.models.capabilities import read
from inset.servers import let_go

AT_ONCE = ("revoked",)
"""The reasons for which a session's frames are cut without asking their pages for unsaved edits."""

GRACE = timedelta(seconds=4)
"""How long an ending session's pages may take to hand over their edits: a bridge asks them for 3 s."""


async def move(
    db: AsyncSession, session: Session, *, to: SessionState, expected: Sequence[SessionState], **values: Any
) -> bool:
    """Change a session's state if it is one of those expected, whoever else may be changing it; tells which."""
    moved = await db.exec(
        update(Session)
        .where(col(Session.id) == session.id, col(Session.state).in_(expected))
        .values(state=to, **values)
        .execution_options(synchronize_session=False)
    )
    await db.refresh(session)
    return bool(moved.rowcount)


async def report_progress(db: AsyncSession, session: Session, percent: int, message: str) -> None:
    """Tell how far a starting session is. Progress never goes back."""
    if percent < session.percent or (percent, message) == (session.percent, session.message):
        return
    session.percent, session.message = percent, message
    tell(
        db,
        session.id,
        "progress",
        percent=percent,
        message=message,
        waits_for=waits_for(message),
        state=session.state,
    )


async def begin_ending(db: AsyncSession, session: Session, reason: str) -> bool:
    """Have a session saved and closed by whichever replica drives it next."""
    if not await move(db, session, to=SessionState.ENDING, expected=OPEN, ending_reason=reason, ending_at=now()):
        return False
    await _forget_credentials(db, session)
    at_once = reason in AT_ONCE or session.server_id is None
    tell(db, session.id, "ending", **{"reason": reason, "in": 0.0 if at_once else GRACE.total_seconds()})
    once_committed(db, SESSIONS_ENDED.labels(reason).inc)
    _record(db, "session.ending", session, reason=reason)
    if session.server_id is None:
        # It has waited and nothing else: there is nothing to save and to stop.
        await end(db, session)
    return True


async def end_sessions(db: AsyncSession, *which: ColumnElement[bool], reason: str) -> int:
    """Have all open sessions that these conditions meet saved and closed; tells how many."""
    wanted = select(Session).where(*which, col(Session.state).in_(OPEN)).order_by(col(Session.id))
    sessions = (await db.exec(wanted)).all()
    return sum([await begin_ending(db, session, reason) for session in sessions])


async def end(db: AsyncSession, session: Session) -> None:
    """Close the books on a session that has been saved."""
    if await move(db, session, to=SessionState.ENDED, expected=[SessionState.ENDING], ended_at=now()):
        tell(db, session.id, "ended", reason=session.ending_reason)
        await let_go(db, session.server_id)


async def fail(db: AsyncSession, session: Session, code: str) -> None:
    """Give a session up, with a reason that a person understands; one that ends or is over stays as it is."""
    reason = failure(code).model_dump()
    if await move(db, session, to=SessionState.FAILED, expected=OPEN, failure=reason, ended_at=now()):
        await _forget_credentials(db, session)
        tell(db, session.id, "failed", **reason)
        once_committed(db, SESSIONS_FAILED.labels(code).inc)
        _record(db, "session.failed", session, code=code)
        await let_go(db, session.server_id)


async def _forget_credentials(db: AsyncSession, session: Session) -> None:
    """Delete what its host has passed for it: an ending session's kernels get nothing new."""
    await db.exec(delete(DataCredentialRow).where(col(DataCredentialRow.session_id) == session.id))


async def bury(db: AsyncSession, server: Server) -> None:
    """Give the sessions of a server up that was found dead, and have it recover what it still owes.

    Its seat is free only when that is done, and what opened it is gone too.
    """
    # Sessions are held before their server, as everywhere.
    using = select(Session).where(Session.server_id == server.id).order_by(col(Session.id))
    await db.exec(using.with_for_update(key_share=True))
    await db.refresh(server, with_for_update=HELD)
    if server.state is not ServerState.RUNNING:
        return
    server.died_at = now()
    owes = "edit" in read(server.may)
    server.state = ServerState.RECOVERING if owes else ServerState.STOPPING
    for session in (await db.exec(using)).all():
        await fail(db, session, "server-died")


def _record(db: AsyncSession, action: Action, session: Session, **facts: str) -> None:
    host_id, notebook_id = session.host_id, session.notebook_id
    record(db, action, host_id=host_id, user=session.owner, notebook_id=notebook_id, session_id=session.id, facts=facts)
