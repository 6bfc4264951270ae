"""The process that serves: how it listens, and how it leaves."""

import asyncio
import socket
import ssl
import sys

import uvicorn

from inset.acting import Acting, acting_as
from inset.app import create_app
from inset.departure import Departure
from inset.settings import Settings

_SWITCH_SECONDS = 0.0003
"""How long a thread that computes on a large document keeps the interpreter from the one that answers requests, each
time that one needs it. Python's own 5 ms made most of what a small request beside large saves waited for; less than
this takes the saves processor time and the requests none off."""


def serve(settings: Settings, trusted: ssl.SSLContext) -> None:
    """Serve until SIGTERM or SIGINT, then leave without cutting anybody off. TLS trusts what is `trusted`."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    departure = Departure()
    config = uvicorn.Config(
        create_app(settings, departure=departure, trusted=trusted),
        host=settings.listen_host,
        port=settings.listen_port,
        log_config=None,
        access_log=False,
        # Longer than callers and balancers keep idle connections: who closes first must not be the one who is asked.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.shutdown_timeout.total_seconds()),
    )
    with acting_as(Acting(actor="service")):
        _Server(config, departure, delay=settings.shutdown_delay.total_seconds()).run()


class _Server(uvicorn.Server):
    """Ends event streams before it waits for requests: a stream would otherwise hold it up until it is cut."""

    def __init__(self, config: uvicorn.Config, departure: Departure, *, delay: float) -> None:
        super().__init__(config)
        self._departure = departure
        self._delay = delay

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._departure.announced.set()
        if not self.force_exit:
            # Until balancers have seen it by `/readyz`, what they still send is answered as ever.
            await asyncio.sleep(self._delay)
        self._departure.closing.set()
        await super().shutdown(sockets)
