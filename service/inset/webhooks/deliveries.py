"""What was sent to whom, to be looked at and sent again."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset import paging
from inset.clock import now
from inset.db import HELD
from inset.errors import DeliveryNotFound, EndpointOff
from inset.models import DeliveryList, DeliveryPublic, DeliveryState, WebhookDelivery, WebhookEndpoint
from inset.webhooks.queue import held_up


async def list_deliveries(
    db: AsyncSession, host_id: str | None, *, state: DeliveryState | None, cursor: str | None, limit: int
) -> DeliveryList:
    """List a host application's deliveries, or everybody's, newest first. Raises `InvalidCursor`."""
    rows = select(WebhookDelivery).order_by(col(WebhookDelivery.id).desc()).limit(limit + 1)
    if host_id:
        rows = rows.where(WebhookDelivery.host_id == host_id)
    if state:
        rows = rows.where(WebhookDelivery.state == state)
    if cursor:
        rows = rows.where(col(WebhookDelivery.id) < paging.number_before(cursor))
    shown, next_cursor = paging.page((await db.exec(rows)).all(), limit, lambda row: [row.id or 0])
    return DeliveryList(items=[_public(row) for row in shown], next_cursor=next_cursor)


async def resend(db: AsyncSession, host_id: str | None, id: int, *, retry_for: timedelta) -> DeliveryPublic:
    """Have a delivery made again, whatever became of it; one that waits is tried now.

    Raises `DeliveryNotFound`, and `EndpointOff` where its endpoint is removed or switched off.
    """
    delivery = await db.get(WebhookDelivery, id)
    if delivery is None or (host_id and delivery.host_id != host_id):
        raise DeliveryNotFound
    endpoint = await db.get(WebhookEndpoint, (delivery.host_id, delivery.endpoint), with_for_update=HELD)
    if endpoint is None or endpoint.switched_off_at:
        raise EndpointOff(delivery.endpoint)
    await db.refresh(delivery, with_for_update=True)
    _send_again(delivery, retry_for)
    return _public(delivery)


async def resend_failed(
    db: AsyncSession, host_id: str | None, *, since: datetime, retry_for: timedelta
) -> tuple[int, int]:
    """Have all made again that were given up since then; tells how many, and of how many the endpoint is off."""
    failed: list[ColumnElement[bool]] = [
        col(WebhookDelivery.state) == "failed",
        col(WebhookDelivery.finished_at) >= since,
    ]
    if host_id:
        failed.append(col(WebhookDelivery.host_id) == host_id)
    endpoints = select(WebhookEndpoint).where(col(WebhookEndpoint.switched_off_at).is_(None))
    sent = 0
    for endpoint in (await db.exec(endpoints.order_by("host_id", "name").with_for_update(key_share=True))).all():
        its = (WebhookDelivery.host_id == endpoint.host_id, WebhookDelivery.endpoint == endpoint.name)
        wanted = select(WebhookDelivery).where(*failed, *its).order_by(col(WebhookDelivery.id))
        again = (await db.exec(wanted.with_for_update())).all()
        busy = await held_up(db, endpoint, sorted({delivery.subject for delivery in again}))
        for delivery in again:
            _send_again(delivery, retry_for, behind=delivery.subject in busy)
            busy.add(delivery.subject)
        sent += len(again)
    await db.flush()
    left = (await db.exec(select(WebhookDelivery.id).where(*failed))).all()
    return sent, len(left)


async def forget(db: AsyncSession, kept_for: timedelta) -> None:
    """Delete the deliveries that are over and whose time is over."""
    old = col(WebhookDelivery.created_at) < now() - kept_for
    await db.exec(delete(WebhookDelivery).where(old, col(WebhookDelivery.state) != "waiting"))


def _send_again(delivery: WebhookDelivery, retry_for: timedelta, *, behind: bool = False) -> None:
    if delivery.lease_owner:
        return  # somebody is at it
    delivery.state, delivery.attempts, delivery.finished_at = "waiting", 0, None
    delivery.next_at = None if behind else now()
    delivery.give_up_at = now() + retry_for


def _public(row: Any) -> DeliveryPublic:
    return DeliveryPublic.model_validate(row.model_dump())
