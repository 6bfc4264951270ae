"""Waiting for a server inside `Spawner.start`.

The hub itself looks with an exponential back-off that no setting changes, and finds a server one to four seconds after
it began to answer. A start() that returns only when the server answers makes the hub's first look succeed.
"""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

_SECONDS_BETWEEN_ASKING = 1.0


async def until_answering(
    url: str, *, exit_status: Callable[[], Awaitable[int | None]], interval: float = 0.025
) -> None:
    """Return once `url` answers below 500; raise if the server ended first. The hub's start_timeout bounds the wait."""
    now = asyncio.get_running_loop().time
    asked = now()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        while not await _answers(http, url):
            # Asking whether the process lives is a call to the Docker engine for some spawners: every second is enough.
            # By the clock: a look at an address that nobody has any longer takes seconds by itself.
            if now() - asked >= _SECONDS_BETWEEN_ASKING:
                if (status := await exit_status()) is not None:
                    raise RuntimeError(f"The server ended with status {status} before it answered")
                asked = now()
            await asyncio.sleep(interval)


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url, allow_redirects=False) as response:
            return response.status < 500
    except (aiohttp.ClientError, TimeoutError):
        return False
