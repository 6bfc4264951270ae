"""Turning what has happened into deliveries, once, whichever replica gets to it."""

from collections.abc import Sequence
from datetime import timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import Database, upsert
from inset.models import WebhookCursor, WebhookDelivery, WebhookEndpoint
from inset.webhooks.bodies import Event, Sign, of_session, of_version
from inset.webhooks.endpoints import newest
from inset.webhooks.feeds import AUDIT, EVENTS, News, Positions, read_news, read_positions
from inset.webhooks.queue import held_up, new_delivery

_FAR = 1000
"""How far a position may lie behind rows that concern nobody, before it is moved for them alone."""


class Teller:
    """Follows the feeds."""

    def __init__(self, database: Database, sign: Sign, *, retry_for: timedelta) -> None:
        self._database = database
        self._sign = sign
        self._retry_for = retry_for
        self._seen = Positions()
        """The feeds' newest rows when there was nothing left to do."""

    async def tell(self) -> bool:
        """Make deliveries of what is new; tells whether there may be more. One query where there is nothing new."""
        async with self._database.transaction(read_only=True) as db:
            present = Positions(*await newest(db))
            if present == self._seen:
                return False
            endpoints = await _endpoints(db)
            if not endpoints:
                self._seen = present  # of what there is by now, one that is registered later is told nothing
                return False
            before = await read_positions(db)
            after = _later(before, _first_wanted(endpoints))
            hosts = sorted({endpoint.host_id for endpoint in endpoints})
            news = await read_news(db, hosts, after=after, newest=present)
        told = [of_version(stored, self._sign) for stored in news.stored] + [of_session(moved) for moved in news.moved]
        far = news.until.audit - before.audit + news.until.events - before.events > _FAR
        if told or far:
            async with self._database.transaction() as db:
                if await self._advance(db, before, news):
                    await self._deliver(db, told)
        if news.until == present:
            self._seen = present
        return news.until != present

    async def _advance(self, db: AsyncSession, before: Positions, news: News) -> bool:
        """Move the positions on; tells whether no other replica has done so."""
        for feed in (AUDIT, EVENTS):
            await db.exec(upsert(db, WebhookCursor).values(feed=feed, position=0).on_conflict_do_nothing())
        held = select(WebhookCursor).order_by("feed").with_for_update()
        cursors = {cursor.feed: cursor for cursor in (await db.exec(held)).all()}
        if Positions(cursors[AUDIT].position, cursors[EVENTS].position) != before:
            return False
        cursors[AUDIT].position, cursors[EVENTS].position = news.until.audit, news.until.events
        return True

    async def _deliver(self, db: AsyncSession, told: Sequence[Event]) -> None:
        # Locked: nobody lets go of what something is being put behind.
        for endpoint in await _endpoints(db, locked=True):
            wanted = [event for event in told if _wants(endpoint, event)]
            known = select(WebhookDelivery.event_id).where(
                WebhookDelivery.host_id == endpoint.host_id,
                WebhookDelivery.endpoint == endpoint.name,
                col(WebhookDelivery.event_id).in_([event.id for event in wanted]),
            )
            done = set((await db.exec(known)).all()) if wanted else set()
            busy = await held_up(db, endpoint, sorted({event.subject for event in wanted})) if wanted else set()
            for event in wanted:
                if event.id in done:
                    continue
                db.add(
                    new_delivery(
                        endpoint,
                        id=event.id,
                        type=event.type,
                        subject=event.subject,
                        body=event.body,
                        due=None if event.subject in busy else now(),
                        give_up_at=now() + self._retry_for,
                    )
                )
                done.add(event.id)
                busy.add(event.subject)
                await db.flush()  # one by one: their ids are their order


async def _endpoints(db: AsyncSession, *, locked: bool = False) -> Sequence[WebhookEndpoint]:
    wanted = select(WebhookEndpoint).where(col(WebhookEndpoint.switched_off_at).is_(None)).order_by("host_id", "name")
    return (await db.exec(wanted.with_for_update(key_share=True) if locked else wanted)).all()


def _first_wanted(endpoints: Sequence[WebhookEndpoint]) -> Positions:
    return Positions(
        audit=min(endpoint.audit_after for endpoint in endpoints),
        events=min(endpoint.events_after for endpoint in endpoints),
    )


def _later(one: Positions, other: Positions) -> Positions:
    return Positions(max(one.audit, other.audit), max(one.events, other.events))


def _wants(endpoint: WebhookEndpoint, event: Event) -> bool:
    after = endpoint.audit_after if event.feed == AUDIT else endpoint.events_after
    return event.host_id == endpoint.host_id and event.type in endpoint.events and event.position > after
