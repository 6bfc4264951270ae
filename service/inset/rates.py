"""How many calls a user makes in a minute, counted in the database and so across all replicas."""

from datetime import datetime

from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import upsert
from inset.errors import RateLimited
from inset.models import CallCount


async def count_call(db: AsyncSession, host_id: str, user: str, *, most: int) -> None:
    """Count a call of a user. Raises `RateLimited` if he has made as many as he may in this minute."""
    time = now()
    counting = upsert(db, CallCount).values(host_id=host_id, user=user, minute=_minute(time), calls=1)
    counted = await db.exec(
        counting.on_conflict_do_update(
            index_elements=["host_id", "user", "minute"],
            set_={"calls": col(CallCount.calls) + 1},
            # At the limit nothing is written any more, however many calls come.
            where=col(CallCount.calls) < most,
        ).returning(col(CallCount.calls))
    )
    if counted.first() is None:
        raise RateLimited(most, seconds=60 - time.second)


def _minute(time: datetime) -> datetime:
    return time.replace(second=0, microsecond=0)
