"""What waits to be delivered: claimed by one replica at a time, in order within a notebook or session.

Of what concerns one notebook at one endpoint, one delivery is due, and those behind it have no time yet. It lets the
next go when it is over, or when it has failed for so long that waiting helps nobody. An endpoint's row is locked by
whoever puts something behind or lets something go, so that nothing is left standing.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import HELD, ask
from inset.engines.prepared import Prepared
from inset.models import WebhookDelivery, WebhookEndpoint

ATTEMPTS_IN_ORDER = 7
"""After so many failed attempts, about half an hour, a delivery no longer holds up those behind it."""

_LONGEST_WAIT = timedelta(hours=12)
_GROWTH = 3
_JITTER = 0.2


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt."""

    status: int | None = None
    error: str | None = None
    not_before: datetime | None = None
    """When the endpoint asks to be tried again, at the earliest."""

    @property
    def delivered(self) -> bool:
        """Whether the endpoint has it."""
        return self.error is None

    @property
    def unwanted(self) -> bool:
        """Whether the endpoint says that it wants nothing more."""
        return self.status == 410


@dataclass(frozen=True)
class Retrying:
    """When it is tried again."""

    after: timedelta

    def wait(self, attempts: int) -> timedelta:
        """Tell how long to wait after so many failed attempts: three times as long each time, and never exactly."""
        grown: timedelta = self.after * _GROWTH ** min(attempts - 1, 20)
        return min(grown, _LONGEST_WAIT) * random.uniform(1 - _JITTER, 1 + _JITTER)


async def endpoints_due(db: AsyncSession) -> Sequence[tuple[str, str]]:
    """Name the endpoints (by host application and name) for which something is due."""
    return await ask(db, _ENDPOINTS_DUE, moment=now())


async def claim(
    db: AsyncSession, endpoint: tuple[str, str], *, owner: str, lease: timedelta, most: int
) -> Sequence[WebhookDelivery]:
    """Take up to `most` deliveries of one endpoint that are due, for as long as the lease."""
    wanted = select(WebhookDelivery.id).where(*_due(now()), *_of(endpoint)).order_by("next_at", "id").limit(most)
    # What another replica is just taking is passed over.
    ids = (await db.exec(wanted.with_for_update(skip_locked=True))).all()
    mine = col(WebhookDelivery.id).in_(ids)
    taken = {"next_at": now() + lease, "lease_owner": owner, "attempts": col(WebhookDelivery.attempts) + 1}
    await db.exec(update(WebhookDelivery).where(mine).values(**taken))
    return (await db.exec(select(WebhookDelivery).where(mine).order_by("id"))).all()


async def settle(db: AsyncSession, claimed: WebhookDelivery, outcome: Outcome, retrying: Retrying) -> str | None:
    """Write down what became of an attempt; names what became of the delivery, None if it is another's by now."""
    endpoint = await db.get(WebhookEndpoint, (claimed.host_id, claimed.endpoint), with_for_update=HELD)
    mine = select(WebhookDelivery).where(
        WebhookDelivery.id == claimed.id,
        WebhookDelivery.state == "waiting",
        WebhookDelivery.lease_owner == claimed.lease_owner,
        WebhookDelivery.attempts == claimed.attempts,
    )
    delivery = (await db.exec(mine.with_for_update())).one_or_none()
    if delivery is None or endpoint is None:
        return None
    delivery.lease_owner = None
    delivery.last_status, delivery.last_error = outcome.status, outcome.error
    if outcome.delivered:
        _finish(delivery, "delivered")
    elif outcome.unwanted:
        endpoint.switched_off_at = now()
        _finish(delivery, "failed")
        await db.flush()
        await fail_waiting(db, endpoint, "endpoint-gone")
        return "switched-off"
    elif now() >= delivery.give_up_at:
        _finish(delivery, "failed")
    else:
        next_at = now() + retrying.wait(delivery.attempts)
        if outcome.not_before:
            next_at = max(next_at, min(outcome.not_before, now() + _LONGEST_WAIT))
        delivery.next_at = min(next_at, delivery.give_up_at)
    await db.flush()
    if delivery.state != "waiting" or delivery.attempts >= ATTEMPTS_IN_ORDER:
        await _let_next_go(db, delivery)
    return {"delivered": "delivered", "failed": "given-up"}.get(delivery.state, "retried")


async def held_up(db: AsyncSession, endpoint: WebhookEndpoint, subjects: Sequence[str]) -> set[str]:
    """Name those of these notebooks and sessions of which an earlier delivery comes first at an endpoint."""
    first = select(WebhookDelivery.subject).where(
        *_of((endpoint.host_id, endpoint.name)), _in_order(), col(WebhookDelivery.subject).in_(subjects)
    )
    return set((await db.exec(first.distinct())).all())


async def fail_waiting(db: AsyncSession, endpoint: WebhookEndpoint, error: str) -> None:
    """Give up all that waits for an endpoint."""
    waiting = (col(WebhookDelivery.state) == "waiting", *_of((endpoint.host_id, endpoint.name)))
    over = {"state": "failed", "last_error": error, "finished_at": now(), "next_at": None, "lease_owner": None}
    await db.exec(update(WebhookDelivery).where(*waiting).values(**over))


async def release(db: AsyncSession, owner: str) -> None:
    """Let others at once try what this replica leaves."""
    left = (col(WebhookDelivery.state) == "waiting", col(WebhookDelivery.lease_owner) == owner)
    await db.exec(update(WebhookDelivery).where(*left).values(next_at=now(), lease_owner=None))


async def _let_next_go(db: AsyncSession, before: WebhookDelivery) -> None:
    of_it = (*_of((before.host_id, before.endpoint)), col(WebhookDelivery.subject) == before.subject)
    first = (await db.exec(select(WebhookDelivery).where(*of_it, _in_order()).order_by("id").limit(1))).first()
    if first and first.next_at is None:
        first.next_at = now()


def _due(moment: Any) -> tuple[ColumnElement[bool], ...]:
    """Meet what is to be tried at a moment, or at one that is said later (`bindparam`)."""
    return col(WebhookDelivery.state) == "waiting", col(WebhookDelivery.next_at) <= moment


_ENDPOINTS_DUE = Prepared(
    select(WebhookDelivery.host_id, WebhookDelivery.endpoint).where(*_due(bindparam("moment"))).distinct()
)


def _of(endpoint: tuple[str, str]) -> tuple[ColumnElement[bool], ...]:
    return col(WebhookDelivery.host_id) == endpoint[0], col(WebhookDelivery.endpoint) == endpoint[1]


def _in_order() -> ColumnElement[bool]:
    """Meet what waits, and lets nothing behind it go yet."""
    return (col(WebhookDelivery.state) == "waiting") & (col(WebhookDelivery.attempts) < ATTEMPTS_IN_ORDER)


def _finish(delivery: WebhookDelivery, state: str) -> None:
    delivery.state, delivery.finished_at, delivery.next_at = state, now(), None


def new_delivery(
    endpoint: WebhookEndpoint,
    *,
    id: str,
    type: str,
    subject: str,
    body: str,
    due: datetime | None,
    give_up_at: datetime,
) -> WebhookDelivery:
    """Make a delivery; one with no time stands behind another."""
    return WebhookDelivery(
        event_id=id,
        host_id=endpoint.host_id,
        endpoint=endpoint.name,
        type=type,
        subject=subject,
        body=body,
        next_at=due,
        give_up_at=give_up_at,
    )
