"""`/v1/audit`: who did what, for a host application's backend."""

from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

from inset.audit import AuditFilter, list_audit
from inset.deps import BackendDep, CursorDep, DbDep, LimitDep
from inset.errors import BackendOnly, InvalidCursor, InvalidRequest
from inset.models import Action, AuditList
from inset.problems import responses
from inset.routers import hosts_router

router = hosts_router("/v1/audit", tag="operations")

_Id = Annotated[str | None, Query(max_length=64)]


@router.get("", responses=responses(BackendOnly, InvalidRequest, InvalidCursor))
async def list_acts(
    backend: BackendDep,
    db: DbDep,
    user: Annotated[str | None, Query(max_length=255, description="Whose notebooks and sessions.")] = None,
    action: Annotated[Action | None, Query(description="One kind of act.")] = None,
    notebook_id: _Id = None,
    session_id: _Id = None,
    since: Annotated[AwareDatetime | None, Query(description="From this moment on.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Before this moment.")] = None,
    cursor: CursorDep = None,
    limit: LimitDep = 50,
) -> AuditList:
    """List what was done with the host application's notebooks and sessions, by whom, newest first.

    Only the host application's own token (`sub` = `iss`) may do so, whomever it names; it sees its own users' acts
    alone. Of a run of autosaves the first is listed, and one in each hour: the notebook's versions are all of them.
    """
    wanted = AuditFilter(
        host_id=backend.host_id,
        user=user,
        action=action,
        notebook_id=notebook_id,
        session_id=session_id,
        since=since,
        until=until,
    )
    return await list_audit(db, wanted, cursor=cursor, limit=limit)
