"""Duties that are done again and again, for as long as the service runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


async def repeat(duty: Callable[[], Awaitable[None]], *, of: str, every: float) -> None:
    """Do it, and again so many seconds after it was done; `of` names whose round has failed, in the log."""
    while True:
        try:
            await duty()
        except Exception:
            # Outlives a database that is away for a moment; the next round tries again.
            log.exception("%s: this round failed", of)
        await asyncio.sleep(every)
