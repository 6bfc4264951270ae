"""Posting webhooks, in the event loop in which the fake answers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from inset_client.testkit.webhooks import FakeDelivery

if TYPE_CHECKING:
    from inset_client.testkit.fake import FakeInset

_LOOKS_EVERY = 0.02
_TRIES = 7
"""The service goes on for three days; a test does not."""
_ANSWERS_WITHIN = 10.0


async def post_for_ever(fake: "FakeInset") -> None:
    """Post what is due, as it becomes due."""
    async with httpx.AsyncClient(timeout=_ANSWERS_WITHIN, trust_env=False) as http:
        while True:
            fake.advance()
            await asyncio.gather(*(_post(fake, http, delivery) for delivery in fake.hooks.due()))
            await asyncio.sleep(_LOOKS_EVERY)


async def _post(fake: "FakeInset", http: httpx.AsyncClient, delivery: FakeDelivery) -> None:
    delivery.attempts += 1
    webhook = delivery.webhook
    try:
        answer = await http.post(delivery.url, content=webhook.body, headers=webhook.headers(secret=delivery.secret))
    except httpx.TimeoutException:
        delivery.last_status, delivery.last_error = None, "timed-out"
    except httpx.HTTPError:
        delivery.last_status, delivery.last_error = None, "unreachable"
    else:
        delivery.last_status, delivery.last_error = answer.status_code, None if answer.is_success else "status"
    _settle(fake, delivery)


def _settle(fake: "FakeInset", delivery: FakeDelivery) -> None:
    now = datetime.now(UTC)
    if delivery.last_status == 410:
        fake.hooks.off.add(delivery.endpoint)
        for waiting in fake.hooks.deliveries:
            if waiting.endpoint == delivery.endpoint and waiting.state == "waiting":
                waiting.state, waiting.next_at, waiting.finished_at = "failed", None, now
    elif delivery.last_error is None:
        delivery.state, delivery.next_at, delivery.finished_at = "delivered", None, now
    elif delivery.attempts >= _TRIES:
        delivery.state, delivery.next_at, delivery.finished_at = "failed", None, now
    else:
        delivery.next_at = now + timedelta(seconds=fake.retry_after)
