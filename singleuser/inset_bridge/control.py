"""Keeps one stream open from the service, which tells at once whose frames are to be cut, and whose pages have them,
and when a host has refreshed data credentials.

While the service is away nothing is cut: the first thing that it says after that is who may stay.
"""

import asyncio
import logging
import random
import time
from collections.abc import Coroutine

from inset_bridge.credentials import Credentials
from inset_bridge.errors import RefusedByService, ServiceUnavailable
from inset_bridge.frames import Frames
from inset_bridge.origins import Origins
from inset_bridge.service import CredentialsChanged, Framed, Over, Service

LONGEST_WAIT = 10.0
"""Seconds between two tries to reach a service that is away, at most."""
REFUSED_WAIT = 60.0
"""Seconds until a service that has no such stream, being older, or none for this server is asked again."""


class Control:
    def __init__(
        self, service: Service, frames: Frames, origins: Origins, credentials: Credentials, *, log: logging.Logger
    ) -> None:
        self._service = service
        self._frames = frames
        self._origins = origins
        self._credentials = credentials
        self._log = log
        self._cuts: set[asyncio.Task[None]] = set()
        """Those under way and those to come; the event loop alone would not keep them."""

    async def run(self) -> None:
        """Follow the service for ever, one stream after the other, and with back-off while there is none."""
        failures = 0
        try:
            while True:
                asked_at = time.monotonic()
                try:
                    async for told in self._service.control():
                        failures = 0
                        self._start(self._obey(told, asked_at))
                    wait = _back_off(failures)
                except ServiceUnavailable:
                    failures += 1
                    wait = _back_off(failures)
                except RefusedByService as exc:
                    self._log.info("The service does not tell this server whose session is over: %s", exc.slug)
                    wait = REFUSED_WAIT
                # With jitter: servers must not return in step when a replica ends.
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))
        finally:
            for cut in self._cuts:
                cut.cancel()

    async def _obey(self, told: Framed | Over | CredentialsChanged, asked_at: float) -> None:
        match told:
            case Framed():
                if told.origins is not None:
                    self._origins.host = told.origins
                await self._frames.keep(told.session_ids, asked_at=asked_at)
                # There may have been news while nobody listened.
                await self._credentials.refresh()
            case CredentialsChanged():
                await self._credentials.refresh()
            case Over():
                self._credentials.forget(told.session_id)
                await asyncio.sleep(told.within)
                await self._frames.cut(told.session_id)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        cut = asyncio.create_task(work)
        self._cuts.add(cut)
        cut.add_done_callback(self._cuts.discard)


def _back_off(failures: int) -> float:
    """A quarter of a second, doubling."""
    return min(LONGEST_WAIT, 0.25 * 2.0 ** min(failures, 10))
