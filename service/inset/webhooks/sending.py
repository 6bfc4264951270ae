"""This replica's share of the deliveries, claimed in the database. Each endpoint has a few attempts to itself."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from sqlmodel.ext.asyncio.session import AsyncSession

from inset.acting import Acting, acting_as
from inset.clock import now
from inset.db import Database
from inset.metrics import WEBHOOKS
from inset.models import WebhookDelivery, WebhookEndpoint
from inset.seals import Broken, Seal
from inset.settings import WebhookSettings
from inset.webhooks.bodies import Sign
from inset.webhooks.endpoints import secrets_of
from inset.webhooks.posting import Poster
from inset.webhooks.queue import Outcome, Retrying, claim, endpoints_due, release, settle
from inset.webhooks.signatures import key_of, signed_headers
from inset.webhooks.telling import Teller

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.5
_AT_ONCE = 4
"""Attempts at one endpoint under way at this replica."""
_LEASE_BEYOND_TIMEOUT = timedelta(seconds=5)

_Endpoint = tuple[str, str]


class Webhooks:
    """Tells and delivers, for as long as the service runs. What a replica leaves behind, another takes up."""

    def __init__(
        self, database: Database, poster: Poster, sign: Sign, *, seal: Seal, settings: WebhookSettings
    ) -> None:
        self._database = database
        self._poster = poster
        self._seal = seal
        self._teller = Teller(database, sign, retry_for=settings.retry_for)
        self._retrying = Retrying(after=settings.retry_after)
        self._lease = settings.timeout + _LEASE_BEYOND_TIMEOUT
        self._replica = uuid4().hex
        self._under_way: dict[_Endpoint, set[asyncio.Task[None]]] = defaultdict(set)
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Look for what is new and what is due, twice a second and whenever an attempt is over."""
        try:
            while True:
                self._woken.clear()
                more = False
                try:
                    more = await self._teller.tell()
                    await self._begin_attempts()
                except Exception:
                    # The loop outlives a database that is away for a moment; the next tick tries again.
                    log.exception("webhooks: this round failed")
                if not more:
                    await self._sleep()
        finally:
            await self._stop()

    async def _begin_attempts(self) -> None:
        async with self._database.transaction(read_only=True) as db:
            due = [one for one in await endpoints_due(db) if self._room(one)]
        if not due:
            return
        async with self._database.transaction() as db:
            claimed = [pair for one in due for pair in await self._claim(db, one)]
        for endpoint, delivery in claimed:
            key = (endpoint.host_id, endpoint.name)
            task = asyncio.create_task(self._attempted(endpoint, delivery))
            self._under_way[key].add(task)
            task.add_done_callback(lambda task, key=key: self._done(key, task))  # type: ignore[misc]

    async def _claim(self, db: AsyncSession, one: _Endpoint) -> Sequence[tuple[WebhookEndpoint, WebhookDelivery]]:
        endpoint = await db.get(WebhookEndpoint, one)
        if endpoint is None:
            return []
        claimed = await claim(db, one, owner=self._replica, lease=self._lease, most=self._room(one))
        return [(endpoint, delivery) for delivery in claimed]

    def _room(self, one: _Endpoint) -> int:
        return _AT_ONCE - len(self._under_way[one])

    async def _attempted(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> None:
        with acting_as(Acting(host_id=endpoint.host_id)):
            try:
                outcome = await self._attempt(endpoint, delivery)
                async with self._database.transaction() as db:
                    became = await settle(db, delivery, outcome, self._retrying)
            except Exception:
                log.exception("webhook %s: delivery %s: failed, and is tried again", endpoint.name, delivery.id)
                return
            if became:
                WEBHOOKS.labels(became).inc()
                _log(endpoint, delivery, outcome, became)

    async def _attempt(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> Outcome:
        try:
            keys = [key_of(secret) for secret in secrets_of(self._seal, endpoint)]
        except Broken:
            return Outcome(error="secret-unreadable")
        body = delivery.body.encode()
        return await self._poster.post(endpoint.url, signed_headers(delivery.event_id, body, keys, at=now()), body)

    def _done(self, key: _Endpoint, task: asyncio.Task[None]) -> None:
        self._under_way[key].discard(task)
        if not self._under_way[key]:
            del self._under_way[key]
        self._woken.set()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(_TICK_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _stop(self) -> None:
        tasks = [task for tasks in self._under_way.values() for task in tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with self._database.transaction() as db:
            await release(db, self._replica)


def _log(endpoint: WebhookEndpoint, delivery: WebhookDelivery, outcome: Outcome, became: str) -> None:
    """Say what became of an attempt. Not where to: a URL may hold a secret, and its owner's answer is nobody's here."""
    facts = {"status": outcome.status, "error": outcome.error, "attempt": delivery.attempts}
    level = {"delivered": logging.INFO, "retried": logging.INFO}.get(became, logging.WARNING)
    log.log(
        level,
        "webhook %s: %s %s: %s",
        endpoint.name,
        delivery.type,
        delivery.event_id,
        became,
        extra={"facts": {name: fact for name, fact in facts.items() if fact is not None}},
    )
