"""What a server does for as long as it runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

AGAIN = 1.0
"""Seconds after which a duty that has ended begins anew."""

Duty = Callable[[], Awaitable[None]]


async def kept_up(duty: Duty, *, of: str, log: logging.Logger) -> None:
    """Do what has no end, and begin it anew where something unforeseen has ended it: nobody else would."""
    while True:
        try:
            await duty()
        except Exception:
            log.exception("%s: something unforeseen; it goes on", of)
        await asyncio.sleep(AGAIN)
