"""`inset webhooks`: what host applications are told, for an operator."""

import argparse
import asyncio
from datetime import datetime
from typing import get_args

import httpx
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.audit_command import moment
from inset.clock import now
from inset.db import open_database
from inset.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from inset.schema import require_upgraded
from inset.seals import Seal
from inset.settings import Settings
from inset.webhooks import PURPOSE, Poster, list_deliveries, new_secret, resend, resend_failed
from inset.webhooks.bodies import ping
from inset.webhooks.endpoints import list_endpoints, secrets_of, switch_on
from inset.webhooks.queue import Outcome
from inset.webhooks.signatures import key_of, signed_headers

_SHOWN = 50


def add_webhook_commands(parser: argparse.ArgumentParser) -> None:
    """Add what `inset webhooks` does."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser(
        "list",
        help="name the endpoints, with how much waits for them and was given up; with --state, their newest deliveries",
    )
    listing.add_argument("--host", help="of one host application")
    listing.add_argument("--state", choices=get_args(DeliveryState), help="show deliveries that stand so, newest first")
    listing.set_defaults(run=lambda given: asyncio.run(_list(Settings(), given.host, given.state)))

    again = commands.add_parser("resend", help="deliver again: one delivery, or all that were given up since a time")
    which = again.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", type=int, help="of the delivery, as `list --state` shows it")
    which.add_argument("--failed-since", type=moment, metavar="TIME", help="as 2026-11-27 or 2026-11-27T08:00:00Z")
    again.add_argument("--host", help="of one host application")
    again.set_defaults(run=lambda given: asyncio.run(_resend(Settings(), given.host, given.id, given.failed_since)))

    trying = commands.add_parser(
        "test",
        help="send a `ping` to endpoints from here, and say how they answer; one that is off is switched on by it",
    )
    trying.add_argument("host")
    trying.add_argument("--endpoint", metavar="NAME", help="to one of them")
    trying.set_defaults(run=lambda given: asyncio.run(_test(Settings(), given.host, given.endpoint)))

    secret = commands.add_parser("secret", help="make a secret, for the hosts file and for the receiver")
    secret.set_defaults(run=lambda _: print(new_secret()))


async def _list(settings: Settings, host_id: str | None, state: DeliveryState | None) -> None:
    await require_upgraded(settings.database_url)
    async with open_database(settings.database_url) as database, database.transaction(read_only=True) as db:
        if state:
            for delivery in (await list_deliveries(db, host_id, state=state, cursor=None, limit=_SHOWN)).items:
                print(delivery.model_dump_json())
            return
        for endpoint in await list_endpoints(db, host_id):
            print(
                endpoint.host_id,
                endpoint.name,
                endpoint.url,
                ", ".join(endpoint.events),
                await _standing(db, endpoint),
                sep="\t",
            )


async def _standing(db: AsyncSession, endpoint: WebhookEndpoint) -> str:
    counted = (
        select(WebhookDelivery.state, func.count(), func.min(WebhookDelivery.created_at))
        .where(WebhookDelivery.host_id == endpoint.host_id, WebhookDelivery.endpoint == endpoint.name)
        .group_by(col(WebhookDelivery.state))
    )
    found = {state: (count, since) for state, count, since in (await db.exec(counted)).all()}
    waiting, since = found.get("waiting", (0, None))
    told = f"{waiting} waiting" + (f" since {since:%Y-%m-%d %H:%M:%SZ}" if since else "")
    told += f", {found.get('failed', (0,))[0]} failed, {found.get('delivered', (0,))[0]} delivered"
    return told + (", switched off: it answered 410" if endpoint.switched_off_at else "")


async def _resend(settings: Settings, host_id: str | None, id: int | None, since: datetime | None) -> int:
    await require_upgraded(settings.database_url)
    retry_for = settings.webhooks.retry_for
    async with open_database(settings.database_url) as database, database.transaction() as db:
        if id is not None:
            again = await resend(db, host_id, id, retry_for=retry_for)
            print(f"{again.event_id} is sent to {again.endpoint} again")
            return 0
        sent, left = await resend_failed(db, host_id, since=since or now(), retry_for=retry_for)
    print(
        f"{sent} are sent again" + (f"; {left} are left, whose endpoints are removed or switched off" if left else "")
    )
    return 1 if left else 0


async def _test(settings: Settings, host_id: str, name: str | None) -> int:
    await require_upgraded(settings.database_url)
    seal = Seal(settings.signing_key_file.read_bytes(), purpose=PURPOSE)
    async with (
        open_database(settings.database_url) as database,
        Poster.opened(settings.webhooks, httpx.create_ssl_context()) as poster,
    ):
        async with database.transaction(read_only=True) as db:
            endpoints = [one for one in await list_endpoints(db, host_id) if name in (None, one.name)]
        if not endpoints:
            raise LookupError(f"{host_id} has no such webhook endpoint")
        outcomes = [await _ping(endpoint, poster, seal) for endpoint in endpoints]
        for endpoint, outcome in zip(endpoints, outcomes, strict=True):
            print(f"{endpoint.name}: {_answer(outcome)}")
            if endpoint.switched_off_at and outcome.delivered:
                async with database.transaction() as db:
                    await switch_on(db, endpoint)
                print(f"{endpoint.name}: switched on again; it is told what happens from now on")
    return 0 if all(outcome.delivered for outcome in outcomes) else 1


async def _ping(endpoint: WebhookEndpoint, poster: Poster, seal: Seal) -> Outcome:
    keys = [key_of(secret) for secret in secrets_of(seal, endpoint)]
    id, body = ping(endpoint.host_id)
    return await poster.post(endpoint.url, signed_headers(id, body, keys, at=now()), body)


def _answer(outcome: Outcome) -> str:
    return f"answered {outcome.status}" if outcome.status else f"failed: {outcome.error}"
