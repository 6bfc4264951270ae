"""The audit log: written in the transaction of the act itself, so that there is neither without the other."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset import paging
from inset.acting import acting
from inset.clock import now
from inset.db import Database, write_in_order
from inset.models import Action, Appended, Audit, AuditList, AuditPublic, Held, Version

_PAGE = 500

NO_HOST = ""
"""In place of a host application, on what concerns the whole deployment: no host's backend reads it."""


def record(
    db: AsyncSession,
    action: Action,
    *,
    host_id: str,
    user: str | None = None,
    notebook_id: str | None = None,
    session_id: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Record an act in the transaction that does it, together with who acts and in which request."""
    present = acting()
    row = {
        "at": now(),
        "action": action,
        "actor": present.actor,
        "host_id": host_id,
        "user": user,
        "notebook_id": notebook_id,
        "request_id": present.request_id,
        "facts": dict(facts or {}),
    }
    # In order: who reads on after a row misses none. At the commit, the session is known whose server has saved.
    write_in_order(db, Audit, lambda: {**row, "session_id": session_id or acting().session_id})


def record_save(db: AsyncSession, notebook: Held, version: Version | Appended, *, base: Any) -> None:
    """Record a stored version; of a run of autosaves the first, and one in each hour.

    Each autosave is a version anyhow, with author, time and hash: the log of acts would be buried under them.
    """
    if version.origin == "autosave" and base and base.origin == "autosave" and version.aside is None:
        hours = [moment.replace(minute=0, second=0, microsecond=0) for moment in (base.created_at, version.created_at)]
        if hours[0] == hours[1]:
            return
    facts: dict[str, Any] = {"version": version.number, "sha256": version.sha256, "origin": version.origin}
    if version.aside:
        facts["aside"] = True
    action: Action = "notebook.created" if version.number == 1 else "notebook.saved"
    record(db, action, host_id=notebook.host_id, user=notebook.owner, notebook_id=notebook.id, facts=facts)


class AuditFilter(BaseModel, frozen=True):
    """Which acts are wanted; all of a host application's, or of all of them, where nothing is said."""

    host_id: str | None = None
    user: str | None = None
    action: Action | None = None
    notebook_id: str | None = None
    session_id: str | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


async def list_audit(db: AsyncSession, wanted: AuditFilter, *, cursor: str | None, limit: int) -> AuditList:
    """List acts, newest first. Raises `InvalidCursor`."""
    rows = _selected(wanted).order_by(col(Audit.id).desc()).limit(limit + 1)
    if cursor:
        rows = rows.where(col(Audit.id) < paging.number_before(cursor))
    shown, next_cursor = paging.page((await db.exec(rows)).all(), limit, lambda row: [row.id or 0])
    return AuditList(items=[_public(row) for row in shown], next_cursor=next_cursor)


async def export_audit(database: Database, wanted: AuditFilter, *, after: int = 0) -> AsyncIterator[AuditPublic]:
    """Give acts, oldest first, those alone that were committed after the one of this id."""
    while True:
        rows = _selected(wanted).where(col(Audit.id) > after).order_by(col(Audit.id)).limit(_PAGE)
        async with database.transaction(read_only=True) as db:
            found = (await db.exec(rows)).all()
        for row in found:
            yield _public(row)
            after = row.id or after
        if len(found) < _PAGE:
            return


async def forget(db: AsyncSession, kept_for: timedelta) -> None:
    """Delete the rows whose time is over."""
    await db.exec(delete(Audit).where(col(Audit.at) < now() - kept_for))


def _selected(wanted: AuditFilter) -> Any:
    named = wanted.model_dump(include={"host_id", "user", "action", "notebook_id", "session_id"}, exclude_none=True)
    rows = select(Audit).where(*(col(getattr(Audit, name)) == value for name, value in named.items()))
    if wanted.since:
        rows = rows.where(col(Audit.at) >= wanted.since)
    if wanted.until:
        rows = rows.where(col(Audit.at) < wanted.until)
    return rows


def _public(row: Audit) -> AuditPublic:
    return AuditPublic.model_validate(row.model_dump())
