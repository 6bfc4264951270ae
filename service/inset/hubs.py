"""The hubs of a deployment, by their names: one as a rule, and the same for several.

A server's row names its hub. Whoever calls a hub for a server asks here which one that is.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx

from inset.errors import HubUnavailable, Upstream
from inset.hub import HubClient
from inset.models import Server
from inset.settings import HubSettings
from inset.traces import Tracer

_LOOKS_EVERY = 2.0
_LOOK_SECONDS = 5.0


def seat_names(count: int) -> list[str]:
    """Name the seats, as the hub's configuration does."""
    return [f"seat-{number:03}" for number in range(1, count + 1)]


@dataclass(frozen=True)
class Hub:
    """One hub: how it is called, and what it has."""

    name: str
    settings: HubSettings
    client: HubClient

    @property
    def seats(self) -> list[str]:
        """Name its seats. Those of another hub have the same names."""
        return seat_names(self.settings.seats)

    @property
    def hosts(self) -> frozenset[str] | None:
        """Name the host applications that may be there; None is all."""
        return None if self.settings.hosts is None else frozenset(self.settings.hosts)


class Hubs:
    """Gives each server its hub. Iterated over in the order in which the hubs are set."""

    def __init__(
        self, settings: Mapping[str, HubSettings], http: httpx.AsyncClient, tracer: Tracer | None = None
    ) -> None:
        self._hubs = {
            name: Hub(name, hub, HubClient.of(hub, http, name=name, tracer=tracer)) for name, hub in settings.items()
        }

    def __iter__(self) -> Iterator[Hub]:
        return iter(self._hubs.values())

    def __len__(self) -> int:
        return len(self._hubs)

    def named(self, name: str | None) -> Hub | None:
        """Give a hub by its name; None if there is none."""
        return self._hubs.get(name or "")

    def of(self, server: Server) -> Hub:
        """Give the hub that a server is at. Raises `HubUnavailable` if it is in the settings no longer."""
        try:
            return self._hubs[server.hub]
        except KeyError:
            raise HubUnavailable from None

    def called_for(self, server: Server) -> HubClient:
        """Give what calls a server's hub. Raises `HubUnavailable` if it is in the settings no longer."""
        return self.of(server).client

    async def watch(self) -> None:
        """Look out for those that are away, until they answer again; runs for as long as the service does.

        Nothing new is placed there meanwhile, so nothing else might ask them.
        """
        while True:
            await asyncio.sleep(_LOOKS_EVERY)
            await asyncio.gather(*(_look(hub) for hub in self if hub.client.away))


async def _look(hub: Hub) -> None:
    with contextlib.suppress(Upstream, TimeoutError):
        async with asyncio.timeout(_LOOK_SECONDS):
            await hub.client.accepts_token()
