"""Finds out what is wrong with a deployment: one check for each subject, each telling what it found and what helps."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx

from inset.db import Database
from inset.doctor import at_home, at_the_hub, in_a_server, on_the_way
from inset.doctor.findings import Finding, error
from inset.hub import HubClient
from inset.settings import Settings

log = logging.getLogger(__name__)

__all__ = ["Doctor", "Finding"]

Check = Callable[[], Awaitable[list[Finding]]]


class Doctor:
    """Examines the deployment from where the service stands. Looks only: it starts, stops and changes nothing."""

    def __init__(
        self, settings: Settings, database: Database, http: httpx.AsyncClient, *, patience: timedelta | None = None
    ) -> None:
        """Give each check `patience`: twice what a call to the hub may take, unless told."""
        hub = HubClient.of(settings.hub, http)
        self._home = at_home.Home(settings, database)
        self._hub = at_the_hub.Hub(settings, http, hub)
        self._way = on_the_way.Way(settings, http, hub)
        self._server = in_a_server.RunningServer(database, http, hub, proxy_url=settings.hub.proxy_url)
        self._patience = patience or 2 * settings.hub.timeout

    async def examine(self, *, host_id: str | None = None) -> list[Finding]:
        """Run every check, and give what they found in a steady order; of the hosts, look at the one named, or all."""
        checks: dict[str, Check] = {
            "the database": self._home.database,
            "the signing key": self._home.signing_key,
            "the master keys": self._home.master_keys,
            "the host applications": lambda: self._home.hosts(host_id),
            "the data policy": lambda: self._home.data_policy(host_id),
            "the hub": self._hub.alive,
            "the hub's token": self._hub.token,
            "the seats": self._hub.seats,
            "the seats' origins": self._hub.origins,
            "the hub's proxy": self._way.proxy,
            "the clocks": self._way.clocks,
            "the names": self._way.names,
            "the certificates": self._way.certificates,
            "cookies": lambda: self._way.cookies(self._home, host_id),
            "websockets": lambda: self._server.websocket(host_id),
            "framing": lambda: self._server.framing(host_id),
        }
        found = await asyncio.gather(*(self._checked(subject, check) for subject, check in checks.items()))
        return [finding for findings in found for finding in findings]

    async def _checked(self, subject: str, check: Check) -> list[Finding]:
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                return await check()
        except TimeoutError:
            return [
                error(
                    "check-timed-out",
                    f"The check of {subject} was not over in time.",
                    "Look for what does not answer; INSET_HUB__TIMEOUT says how long a call to the hub may take.",
                )
            ]
        except Exception as exc:
            # One that crashes must not hide what the others found. Only the kind is told: texts can hold secrets.
            log.warning("the check of %s crashed", subject, exc_info=exc)
            return [
                error(
                    "check-crashed",
                    f"The check of {subject} crashed ({type(exc).__name__}).",
                    "The service's log says where. Please report it: whatever is wrong should be told, not crash.",
                )
            ]
