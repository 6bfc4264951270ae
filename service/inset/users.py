"""Users of host applications, of whom nothing is kept but what is theirs, and when they were last turned away."""

from datetime import datetime

from pydantic import BaseModel, Field
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.audit import record
from inset.clock import now
from inset.db import upsert
from inset.lifecycle import end_sessions
from inset.models import Host, Revocation, Session


class Revoked(BaseModel):
    """A user who was turned away."""

    user: str
    revoked_at: datetime = Field(description="Tokens that were signed until this second are refused.")
    sessions_ended: int = Field(description="How many of his sessions are being saved and ended.")


async def revoke_user(db: AsyncSession, host_id: str, user: str) -> Revoked:
    """Refuse every token that was signed for a user until now, and have his sessions saved and ended.

    Tokens that are signed from the next second on are good: whether there will be any is for the host application to
    say. Raises `LookupError` if it is not registered.
    """
    if await db.get(Host, host_id) is None:
        raise LookupError(f"no host application is registered as {host_id!r}")
    time = now()
    revocation = upsert(db, Revocation).values(host_id=host_id, user=user, revoked_at=time)
    await db.exec(revocation.on_conflict_do_update(index_elements=["host_id", "user"], set_={"revoked_at": time}))
    ended = await end_sessions(db, col(Session.host_id) == host_id, col(Session.owner) == user, reason="revoked")
    record(db, "user.revoked", host_id=host_id, user=user, facts={"sessions_ended": ended})
    return Revoked(user=user, revoked_at=time, sessions_ended=ended)
