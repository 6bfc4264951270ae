"""What an event tells: ids, numbers, hashes and times, and nothing that a notebook holds."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

from inset.clock import now
from inset.models import EventType, Notebook, Version
from inset.webhooks.feeds import SessionMoved, StoredVersion

Sign = Callable[[Notebook, Version], str]
"""Signs a version's receipt."""


@dataclass(frozen=True)
class Event:
    """Something that a host application may be told."""

    id: str
    """The same, whichever replica makes it out, and however often."""
    type: EventType
    host_id: str
    subject: str
    body: str
    feed: str
    position: int


def of_version(news: StoredVersion, sign: Sign) -> Event:
    """Tell of a stored version, or of one that was kept beside its notebook's line."""
    notebook, version = news.notebook, news.version
    aside = version.aside is not None
    facts = {
        "host": notebook.host_id,
        "user": notebook.owner,
        "notebook_id": notebook.id,
        "session_id": news.session_id,
        "version": version.number,
        "parent": version.parent,
        "sha256": version.sha256,
        "size": version.size,
        "origin": version.origin,
        "author": version.author,
        "stored_at": _written(version.created_at),
        "receipt": sign(notebook, version),
    }
    if aside:
        facts["current_version"] = notebook.current
    # A version that somebody means after all (`save`, where it was `autosave`) is told once more. By its hash: after a
    # backup was restored, a number is given again.
    number = f"{version.number}\n{version.sha256}" + ("" if aside else f"\n{version.origin}")
    return _event(
        "notebook.conflict" if aside else "notebook.saved", notebook.id, number, facts, version.created_at, news
    )


def of_session(news: SessionMoved) -> Event:
    """Tell of a session that is ready, or over."""
    session = news.session
    facts: dict[str, Any] = {
        "host": session.host_id,
        "user": session.owner,
        "session_id": session.id,
        "notebook_id": session.notebook_id,
        "profile": session.profile,
        "version": session.version,
        "opened_at": _written(session.created_at),
        "ready_at": _written(session.ready_at),
    }
    if news.ready:
        facts["embeddable"] = session.embeddable
    else:
        facts["state"] = session.state
        facts["reason"] = session.failure["code"] if session.failure else session.ending_reason
        facts["ended_at"] = _written(session.ended_at)
    return _event("session.ready" if news.ready else "session.ended", session.id, "", facts, news.at, news)


def ping(host_id: str) -> tuple[str, bytes]:
    """Make an event of no meaning, to try an endpoint with: its id and its body."""
    return f"evt_{uuid4().hex}", _body("ping", now(), {"host": host_id}).encode()


def _event(
    type: EventType, subject: str, number: str, facts: dict[str, Any], at: datetime, news: StoredVersion | SessionMoved
) -> Event:
    named = sha256(f"{type}\n{subject}\n{number}".encode()).hexdigest()[:32]
    body = _body(type, at, facts)
    return Event(f"evt_{named}", type, facts["host"], subject, body, news.feed, news.position)


def _body(type: str, at: datetime, facts: dict[str, Any]) -> str:
    return json.dumps({"type": type, "timestamp": _written(at), "data": facts}, separators=(",", ":"))


def _written(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None
