"""What has happened, read from where it is written down anyhow: the audit log, and the sessions' events.

Both are written in the transaction of the act, with ids that grow in the order of commits. The audit log leaves out
most autosaves, of which the sessions are told; what both tell is one event all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import TypeVar

from sqlalchemy import tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.models import Audit, Notebook, Session, SessionEvent, Version, WebhookCursor

AUDIT, EVENTS = "audit", "events"
PAGE = 100
"""How many rows of each feed are read at once. Each receipt is signed on the event loop."""

_STORED = ("notebook.created", "notebook.saved")
_OVER = ("ended", "failed")

_Row = TypeVar("_Row", Audit, SessionEvent)


@dataclass(frozen=True)
class Positions:
    """The last row of each feed that has been read."""

    audit: int = 0
    events: int = 0


@dataclass(frozen=True)
class StoredVersion:
    """A version was stored."""

    notebook: Notebook
    version: Version
    session_id: str | None
    feed: str
    position: int


@dataclass(frozen=True)
class SessionMoved:
    """A session became ready, or is over."""

    session: Session
    ready: bool
    at: datetime
    feed: str
    position: int


@dataclass
class News:
    """What was written down between two positions."""

    until: Positions
    stored: list[StoredVersion] = field(default_factory=list)
    moved: list[SessionMoved] = field(default_factory=list)


async def read_positions(db: AsyncSession) -> Positions:
    """Tell how far the feeds have been read."""
    rows = {row.feed: row.position for row in (await db.exec(select(WebhookCursor))).all()}
    return Positions(audit=rows.get(AUDIT, 0), events=rows.get(EVENTS, 0))


async def read_news(db: AsyncSession, hosts: Sequence[str], *, after: Positions, newest: Positions) -> News:
    """Read what concerns these host applications, in one state of the database, whose newest rows these are."""
    audit = (
        select(Audit)
        .where(col(Audit.id) > after.audit, col(Audit.action).in_(_STORED), col(Audit.host_id).in_(hosts))
        .order_by(col(Audit.id))
        .limit(PAGE)
    )
    events = (
        select(SessionEvent, Session)
        .join(Session, col(Session.id) == SessionEvent.session_id)
        .where(
            col(SessionEvent.id) > after.events,
            col(SessionEvent.kind).in_(("ready", "saved", *_OVER)),
            col(Session.host_id).in_(hosts),
        )
        .order_by(col(SessionEvent.id))
        .limit(PAGE)
    )
    acts = list((await db.exec(audit)).all())
    found = (await db.exec(events)).all()
    sessions = {session.id: session for _, session in found}
    told = [event for event, _ in found]
    # Where one of them has more than was read, the other goes no further: a notebook's saves come from both.
    acts_more, told_more = len(acts) == PAGE, len(told) == PAGE
    if acts_more:
        told, told_more = _until(told, acts[-1].at, more=told_more)
    if told_more and told:
        acts, acts_more = _until(acts, told[-1].created_at, more=acts_more)
    until = Positions(
        audit=_position(acts, newest.audit, after.audit, more=acts_more),
        events=_position(told, newest.events, after.events, more=told_more),
    )
    moved = [
        SessionMoved(sessions[event.session_id], event.kind == "ready", event.created_at, EVENTS, event.id or 0)
        for event in told
        if event.kind != "saved"
    ]
    return News(until=until, stored=await _versions(db, acts, told, sessions), moved=moved)


async def _versions(
    db: AsyncSession, acts: Sequence[Audit], told: Sequence[SessionEvent], sessions: dict[str, Session]
) -> list[StoredVersion]:
    named: dict[tuple[str, int], tuple[str | None, str, int]] = {}
    for act in acts:
        named[act.notebook_id or "", act.facts["version"]] = act.session_id, AUDIT, act.id or 0
    for event in told:
        if event.kind == "saved":
            of = sessions[event.session_id].notebook_id, event.data["version"]
            named.setdefault(of, (event.session_id, EVENTS, event.id or 0))
    if not named:
        return []
    wanted = (
        select(Notebook, Version)
        .join(Version, col(Version.notebook_id) == Notebook.id)
        .where(tuple_(col(Version.notebook_id), col(Version.number)).in_(list(named)))
        .order_by(col(Version.notebook_id), col(Version.number))
    )
    rows = (await db.exec(wanted)).all()
    return [StoredVersion(notebook, version, *named[notebook.id, version.number]) for notebook, version in rows]


def _until(rows: list[_Row], time: datetime, *, more: bool) -> tuple[list[_Row], bool]:
    kept = list(takewhile(lambda row: _time(row) <= time, rows))
    return kept, more or len(kept) < len(rows)


def _time(row: Audit | SessionEvent) -> datetime:
    return row.at if isinstance(row, Audit) else row.created_at


def _position(rows: Sequence[Audit] | Sequence[SessionEvent], newest: int, before: int, *, more: bool) -> int:
    if not more:
        return newest
    return (rows[-1].id if rows else None) or before
