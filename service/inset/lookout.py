"""Looking running servers up at their hub, where there are many: by what it says of all of them at once."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from inset.hub import HubClient, HubServer
from inset.models import Server

_Servers = Mapping[str, HubServer]


@dataclass(frozen=True)
class _Heard:
    servers: asyncio.Task[_Servers]
    until: float
    """When it is too long ago, in the clock's monotonic seconds."""


class Lookout:
    """Remembers for a while what each hub has said. To ask for one server costs a hub as much as to ask for twenty."""

    def __init__(self, kept_for: timedelta) -> None:
        self._kept_seconds = kept_for.total_seconds()
        self._heard: dict[HubClient, _Heard] = {}

    async def find(self, hub: HubClient, server: Server) -> HubServer | None:
        """Look a server up. One of which all is well may have been so a while ago; any other is asked for by itself.

        Raises `HubUnavailable`, `HubBusy`.
        """
        heard = self._heard.get(hub)
        if heard is None or heard.until < time.monotonic() or _has_failed(heard.servers):
            servers = asyncio.create_task(hub.servers())
            servers.add_done_callback(_has_failed)  # told to whoever waits for it, if anybody still does
            self._heard[hub] = heard = _Heard(servers, time.monotonic() + self._kept_seconds)
        # One who waits no longer must not keep the others from hearing it.
        running = (await asyncio.shield(heard.servers)).get(server.seat)
        if running and running.server_id == server.id:
            return running
        return await hub.server(server.seat)


def _has_failed(task: asyncio.Task[_Servers]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
