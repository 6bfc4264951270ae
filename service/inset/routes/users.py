"""`/v1/users`: what a host application's backend says about its users."""

from typing import Annotated

from fastapi import Path

from inset.callers import User
from inset.deps import BackendDep, DbDep
from inset.errors import BackendOnly, InvalidRequest
from inset.problems import responses
from inset.routers import hosts_router
from inset.users import Revoked, revoke_user

router = hosts_router("/v1/users", tag="users", wakes_driver=True)


@router.post("/{user:path}/revoke", responses=responses(BackendOnly, InvalidRequest))
async def revoke(
    user: Annotated[User, Path(description="The user, as `sub` names him; percent-encoded.")],
    backend: BackendDep,
    db: DbDep,
) -> Revoked:
    """Turn a user away: every token signed for him until now is refused, his sessions are saved and ended.

    Only the host application's own token (`sub` = `iss`) may do so. Tokens that it signs for him from the next second
    on are good again: sign none for a user who is to stay away.
    """
    return await revoke_user(db, backend.host_id, user)
