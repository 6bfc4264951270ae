"""What is so at this moment, for Prometheus: read from the database when it is asked for, by one query."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import String, func, literal, union_all
from sqlalchemy import cast as sql_cast
from sqlmodel import col, select

from inset import __version__
from inset.clock import now
from inset.db import Database
from inset.driver import Driver
from inset.errors import DatabaseUnavailable
from inset.hubs import Hubs
from inset.metrics import COUNTED
from inset.models import OVER, Drain, Notebook, Server, ServerState, Session, SessionState, Version, WebhookDelivery

_STORE_FRESH_SECONDS = 300.0
"""Counting all versions reads an index of the largest table; it need not be new."""


_AT_HUB = "server at "


@dataclass
class _Seen:
    """What the database said last."""

    up: bool = False
    sessions: dict[str, int] = field(default_factory=dict)
    servers: dict[tuple[str, str], int] = field(default_factory=dict)
    """How many stand how, by hub and state."""
    drained: frozenset[str] = frozenset()
    waiting: float = 0.0
    queues: dict[str, int] = field(default_factory=dict)
    """How many wait, by host application."""
    webhooks: tuple[int, float] = (0, 0.0)
    """Deliveries that wait, and how long the oldest one has."""
    stored: tuple[int, int, int] | None = None
    """Notebooks, versions, and the bytes of these as they were given."""


class Gauges(Collector):
    """The gauges of this replica, and all that it has counted."""

    def __init__(self, database: Database, driver: Driver, hubs: Hubs) -> None:
        self._database = database
        self._driver = driver
        self._hubs = hubs
        self._seen = _Seen()
        self._read_at = self._store_read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    async def exposition(self) -> bytes:
        """Write everything as Prometheus reads it. A database that is away is told as `inset_database_up 0`."""
        asked_at = time.monotonic()
        async with self._reading:
            # Several Prometheus servers that ask at once cost one query.
            if self._read_at < asked_at:
                self._read_at = time.monotonic()
                try:
                    await self._read()
                except DatabaseUnavailable:
                    self._seen.up = False
        return generate_latest(COUNTED) + generate_latest(self._registry)

    async def _read(self) -> None:
        states = union_all(
            select(literal("session"), sql_cast(Session.state, String), func.count(), func.min(Session.created_at))
            .where(col(Session.state).not_in(OVER))
            .group_by(col(Session.state)),
            select(
                literal(_AT_HUB) + Server.hub, sql_cast(Server.state, String), func.count(), func.min(Server.created_at)
            )
            .where(Server.state != ServerState.STOPPED)
            .group_by(col(Server.hub), col(Server.state)),
            select(literal("drain"), Drain.hub, func.count(), func.min(Drain.since)).group_by(col(Drain.hub)),
            select(literal("queue"), Session.host_id, func.count(), func.min(Session.created_at))
            .where(col(Session.state) == SessionState.QUEUED)
            .group_by(col(Session.host_id)),
            select(
                literal("webhook"), sql_cast("waiting", String), func.count(), func.min(WebhookDelivery.created_at)
            ).where(WebhookDelivery.state == "waiting"),
        )
        async with self._database.transaction(read_only=True) as db:
            rows = (await db.exec(states)).all()  # type: ignore[call-overload]
            if time.monotonic() - self._store_read_at > _STORE_FRESH_SECONDS:
                notebooks = (await db.exec(select(func.count()).select_from(Notebook))).one()
                versions, size = (await db.exec(select(func.count(), func.sum(Version.size)))).one()
                self._seen.stored = (notebooks, versions, int(size or 0))
                self._store_read_at = time.monotonic()
        self._seen.up = True
        self._seen.sessions = {state: count for kind, state, count, _ in rows if kind == "session"}
        self._seen.servers = {
            (kind.removeprefix(_AT_HUB), state): count for kind, state, count, _ in rows if kind.startswith(_AT_HUB)
        }
        self._seen.drained = frozenset(hub for kind, hub, *_ in rows if kind == "drain")
        self._seen.queues = {host_id: count for kind, host_id, count, _ in rows if kind == "queue"}
        queued = [since for kind, _, _, since in rows if kind == "queue"]
        [self._seen.webhooks] = [
            (count, (now() - since).total_seconds() if since else 0.0)
            for kind, _, count, since in rows
            if kind == "webhook"
        ]
        self._seen.waiting = max([(now() - since).total_seconds() for since in queued], default=0.0)

    def collect(self) -> Iterator[Metric]:
        """Give what `exposition` has read, as the registry asks for it."""
        seen = self._seen
        yield _one("inset_build_info", "The release that runs.", 1, version=__version__)
        yield _one("inset_driver_silent_seconds", "Since this replica last finished a round.", self._driver.silent_for)
        yield _one("inset_database_up", "Whether the database answered this scrape.", int(seen.up))
        if not seen.up:
            return
        yield _each(
            "inset_sessions",
            "Sessions that are not over. The same at every replica, as all below.",
            {state.value: seen.sessions.get(state, 0) for state in SessionState if state not in OVER},
        )
        yield self._seats()
        yield _each(
            "inset_hub_away",
            "Whether a hub did not answer this replica's last call.",
            {hub.name: int(hub.client.away) for hub in self._hubs},
            "hub",
        )
        yield _one("inset_queue_oldest_seconds", "How long the session waits that has waited longest.", seen.waiting)
        yield _each("inset_queue_sessions", "Sessions that wait for a place, by host application.", seen.queues, "host")
        waiting, oldest = seen.webhooks
        yield _one("inset_webhooks_waiting", "Webhook deliveries that wait for an attempt.", waiting)
        yield _one("inset_webhooks_oldest_seconds", "How long the oldest of them has waited.", oldest)
        if seen.stored:
            notebooks, versions, size = seen.stored
            yield _one("inset_notebooks", "Notebooks stored, deleted ones included until they are purged.", notebooks)
            yield _one("inset_versions", "Versions stored; counted every five minutes.", versions)
            yield _one("inset_versions_bytes", "What all versions hold, as it was given.", size)

    def _seats(self) -> Metric:
        told = "Seats by hub: free, drained (free, and given to nobody), or the state of the server in them."
        family = GaugeMetricFamily("inset_seats", told, labels=["hub", "state"])
        for hub in self._hubs:
            states = [state for state in ServerState if state is not ServerState.STOPPED]
            used = {state.value: self._seen.servers.get((hub.name, state), 0) for state in states}
            unused = max(hub.settings.seats - sum(used.values()), 0)
            is_drained = hub.name in self._seen.drained
            idle = {"free": 0 if is_drained else unused, "drained": unused if is_drained else 0}
            for state, count in (idle | used).items():
                family.add_metric([hub.name, state], count)
        return family


def _one(name: str, told: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(name, told, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _each(name: str, told: str, values: dict[str, int], label: str = "state") -> Metric:
    family = GaugeMetricFamily(name, told, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family
