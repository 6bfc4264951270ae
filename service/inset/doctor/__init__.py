"""Finds out what is wrong with a deployment: one check for each subject, each telling what it found and what helps."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import httpx

from inset.db import Database
from inset.doctor import at_home, at_the_hub, in_a_server, on_the_way
from inset.doctor.findings import Finding, error
from inset.hubs import Hubs
from inset.settings import Settings

log = logging.getLogger(__name__)

__all__ = ["Doctor", "Finding"]

Check = Callable[[], Awaitable[list[Finding]]]


class Doctor:
    """Examines the deployment from where the service stands. Looks only: it starts, stops and changes nothing."""

    def __init__(
        self, settings: Settings, database: Database, http: httpx.AsyncClient, *, patience: timedelta | None = None
    ) -> None:
        """Give each check `patience`: twice what a call to a hub may take, unless told."""
        self._all = hubs = Hubs(settings.every_hub, http)
        self._home = at_home.Home(settings, database)
        self._hubs = {hub.name: at_the_hub.Hub(settings.with_only(hub.name), http, hub.client) for hub in hubs}
        self._ways = {hub.name: on_the_way.Way(settings.with_only(hub.name), http, hub.client) for hub in hubs}
        self._server = in_a_server.RunningServer(database, http, hubs)
        self._patience = patience or 2 * max(hub.settings.timeout for hub in hubs)

    async def examine(self, *, host_id: str | None = None) -> list[Finding]:
        """Run every check, and give what they found in a steady order; of the hosts, look at the one named, or all."""
        checks: dict[str, Check] = {
            "the database": self._home.database,
            "the signing key": self._home.signing_key,
            "the master keys": self._home.master_keys,
            "the host applications": lambda: self._home.hosts(host_id),
            "the data policy": lambda: self._home.data_policy(host_id),
            **self._at_hubs(host_id),
            "the hubs' origins": lambda: at_the_hub.apart(self._all),
            "websockets": lambda: self._server.websocket(host_id),
            "framing": lambda: self._server.framing(host_id),
        }
        found = await asyncio.gather(*(self._checked(subject, check) for subject, check in checks.items()))
        return [finding for findings in found for finding in findings]

    def _at_hubs(self, host_id: str | None) -> dict[str, Check]:
        """Give the checks of each hub and of the way to it; where there are several, they say of which they tell."""
        checks: dict[str, Check] = {}
        for name, hub in self._hubs.items():
            way = self._ways[name]
            its: dict[str, Check] = {
                "the hub": hub.alive,
                "the hub's token": hub.token,
                "the seats": hub.seats,
                "the seats' origins": hub.origins,
                "the hub's proxy": way.proxy,
                "the clocks": way.clocks,
                "the names": way.names,
                "the certificates": way.certificates,
                "cookies": partial(way.cookies, self._home, host_id),
            }
            if len(self._hubs) > 1:
                its = {f"{subject}, {name}": partial(_named, name, check) for subject, check in its.items()}
            checks |= its
        return checks

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


async def _named(hub: str, check: Check) -> list[Finding]:
    """Say of which hub a check tells."""
    return [one.model_copy(update={"message": f"Hub {hub}: {one.message}"}) for one in await check()]
