"""Whether this replica can do its work, and if not, why: what `/readyz` answers."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import cache, partial
from typing import Literal

from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from inset.db import Database
from inset.departure import Departure
from inset.draining import drains
from inset.driver import Driver
from inset.errors import DatabaseUnavailable, HubBusy, HubUnavailable, NotReady
from inset.hub import HubClient
from inset.hubs import Hubs
from inset.schema import older_schemas

CheckName = Literal["database", "hub", "driver", "shutdown"]
Reason = Literal["unreachable", "schema-outdated", "busy", "token-refused", "silent", "timed-out", "leaving"]

_PATIENCE = 5.0
_DRIVER_SILENCE = 15.0
"""Seconds. By then another replica has taken over what this one drove."""


class Check(BaseModel):
    """One thing that must be well, and what is wrong with it if it is not."""

    name: CheckName
    reason: Reason | None = None


class HubCheck(BaseModel):
    """One of the hubs, and what is wrong with it if it is not well."""

    name: str
    reason: Reason | None = None
    drained: bool = Field(default=False, description="Whether it takes no new servers (`inset hubs drain`).")


class Ready(BaseModel):
    """All is well, or as much of it as it takes."""

    status: Literal["ok", "degraded"] = Field(
        default="ok", description="`degraded`: one of several hubs is not well, and sessions open on the others."
    )
    checks: list[Check]
    hubs: list[HubCheck]


class Readiness:
    """Looks at what this replica stands on."""

    def __init__(self, database: Database, hubs: Hubs, driver: Driver, departure: Departure) -> None:
        self._database = database
        self._hubs = hubs
        self._driver = driver
        self._departure = departure
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._seen: list[Check] = []
        self._seen_hubs: list[HubCheck] = []

    async def require(self, *, ignored: Collection[CheckName] = ()) -> Ready:
        """Tell that all is well but what is ignored. Raises `NotReady` with what is not."""
        checks = [check for check in await self._checks() if check.name not in ignored]
        failed = [f"{check.name} ({check.reason})" for check in checks if check.reason]
        if failed:
            raise NotReady(failed, checks=[check.model_dump() for check in checks])
        degraded = any(hub.reason and not hub.drained for hub in self._seen_hubs)
        return Ready(status="degraded" if degraded else "ok", checks=checks, hubs=self._seen_hubs)

    async def _checks(self) -> list[Check]:
        asked_at = time.monotonic()
        async with self._looking:
            # Anybody may ask. However many do at once, the hub and the database are asked by one.
            if self._looked_at < asked_at:
                self._looked_at = time.monotonic()
                database, hubs = await asyncio.gather(_looked(self._look_at_database), look_at_hubs(self._hubs))
                self._seen_hubs = await self._marked(hubs)
                # One that serves is enough.
                hub = None if None in hubs.values() else next(iter(hubs.values()))
                self._seen = [Check(name="database", reason=database), Check(name="hub", reason=hub)]
        silent = self._driver.silent_for > _DRIVER_SILENCE
        return [
            *self._seen,
            Check(name="driver", reason="silent" if silent else None),
            Check(name="shutdown", reason="leaving" if self._departure.announced.is_set() else None),
        ]

    async def _look_at_database(self) -> Reason | None:
        try:
            schema = await self._database.schema()
        except DatabaseUnavailable:
            return "unreachable"
        # A newer one than this release's is that of the next, which is being rolled out beside it.
        return "schema-outdated" if schema in _outdated() else None

    async def _marked(self, hubs: Mapping[str, Reason | None]) -> list[HubCheck]:
        drained: Collection[str] = ()
        # Whether the database is well is told apart.
        with contextlib.suppress(DatabaseUnavailable, SQLAlchemyError):
            async with self._database.transaction(read_only=True) as db:
                drained = await drains(db)
        return [HubCheck(name=name, reason=reason, drained=name in drained) for name, reason in hubs.items()]


async def look_at_hubs(hubs: Hubs) -> dict[str, Reason | None]:
    """Say of each hub what is wrong with it; None if nothing is."""
    reasons = await asyncio.gather(*(_looked(partial(_look_at_hub, hub.client)) for hub in hubs))
    return {hub.name: reason for hub, reason in zip(hubs, reasons, strict=True)}


async def _look_at_hub(hub: HubClient) -> Reason | None:
    try:
        return None if await hub.accepts_token() else "token-refused"
    except HubBusy:
        return "busy"
    except HubUnavailable:
        return "unreachable"


async def _looked(look: Callable[[], Awaitable[Reason | None]]) -> Reason | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await look()
    except TimeoutError:
        return "timed-out"


@cache
def _outdated() -> frozenset[str]:
    return frozenset(older_schemas())
