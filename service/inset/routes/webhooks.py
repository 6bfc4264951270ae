"""`/v1/webhooks`: what was sent to a host application's endpoints, for its backend."""

from typing import Annotated

from fastapi import Path, Query

from inset.deps import BackendDep, CursorDep, DbDep, LimitDep, StateDep
from inset.errors import BackendOnly, DeliveryNotFound, EndpointOff, InvalidCursor, InvalidRequest
from inset.models import DeliveryList, DeliveryPublic, DeliveryState
from inset.problems import responses
from inset.routers import hosts_router
from inset.webhooks import list_deliveries, resend

router = hosts_router("/v1/webhooks", tag="webhooks")


@router.get("/deliveries", responses=responses(BackendOnly, InvalidRequest, InvalidCursor))
async def list_webhook_deliveries(
    backend: BackendDep,
    db: DbDep,
    state: Annotated[DeliveryState | None, Query(description="Those that stand so.")] = None,
    cursor: CursorDep = None,
    limit: LimitDep = 50,
) -> DeliveryList:
    """List what was sent to the host application's endpoints, or waits to be, newest first.

    Only the host application's own token (`sub` = `iss`) may do so, whomever it names.
    """
    return await list_deliveries(db, backend.host_id, state=state, cursor=cursor, limit=limit)


@router.post(
    "/deliveries/{id}/resend",
    status_code=202,
    responses=responses(BackendOnly, DeliveryNotFound, EndpointOff, InvalidRequest),
)
async def resend_webhook_delivery(
    id: Annotated[int, Path(ge=1, lt=2**63)], backend: BackendDep, db: DbDep, state: StateDep
) -> DeliveryPublic:
    """Have a delivery made again at once, with the same `webhook-id` and body, whatever became of it before."""
    return await resend(db, backend.host_id, id, retry_for=state["settings"].webhooks.retry_for)
