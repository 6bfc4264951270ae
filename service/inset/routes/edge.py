"""`/edge/check`: what the reverse proxy in front of the notebook servers asks before each request. Nobody else may."""

import secrets
from typing import Annotated

from fastapi import Depends, Header

from inset import edge
from inset.deps import DbDep, StateDep
from inset.errors import NotFound
from inset.routers import plain_router

router = plain_router("/edge", tag="edge", in_schema=False)


async def require_edge(state: StateDep, inset_edge_token: Annotated[str, Header()] = "") -> None:
    """Refuse everybody but the edge, as if nothing were here."""
    token = state["settings"].edge_token
    if token is None or not secrets.compare_digest(inset_edge_token.encode(), token.get_secret_value().encode()):
        raise NotFound("There is nothing at this path. `/docs` lists what there is.")


@router.get("/check", status_code=204, dependencies=[Depends(require_edge)])
async def check(
    db: DbDep,
    x_original_method: Annotated[str, Header()],
    x_original_host: Annotated[str, Header()],
    x_original_uri: Annotated[str, Header()],
) -> None:
    """Tell the edge whether a browser may send a request to the notebook server it names: 204, or 403."""
    await edge.check(db, method=x_original_method, host=x_original_host, uri=x_original_uri)
