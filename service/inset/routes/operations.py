"""What operators' tools ask: is it alive, is it ready, how is it doing."""

import secrets
from typing import Annotated

from fastapi import Header, Query, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel

from inset.deps import TAKES_ITS_TIME, BackendDep, StateDep
from inset.doctor import Finding
from inset.errors import TOKEN_PROBLEMS, BackendOnly, InvalidRequest, NotFound, NotReady
from inset.problems import responses
from inset.readiness import CheckName, Ready
from inset.routers import plain_router
from inset.signing import PublicJwk

router = plain_router(tag="operations")


class Health(BaseModel):
    """A sign of life."""

    status: str = "ok"


class Diagnosis(BaseModel):
    """What the service found out about itself and what it stands on."""

    findings: list[Finding]


class Jwks(BaseModel):
    """A JWK set (RFC 7517)."""

    keys: list[PublicJwk]


@router.get("/healthz")
async def alive() -> Health:
    """Tell that the process answers."""
    return Health()


@router.get("/readyz", responses=responses(NotReady, InvalidRequest))
async def ready(
    state: StateDep,
    ignore: Annotated[list[CheckName], Query(description="Checks that shall not count; may be repeated.")] = [],  # noqa: B006
) -> Ready:
    """Tell that the database answers at a schema of today, that a hub takes the token, and that the driver runs.

    Otherwise 503, whose `checks` say the `reason` of each: `unreachable`, `timed-out`, `schema-outdated`, `busy`,
    `token-refused`, `silent`, or `leaving` in a replica that is being stopped. Without the hub all but sessions works:
    a balancer asks with `?ignore=hub`, or takes every replica out at once when the hub is restarted. Of several
    hubs one is enough: the answer is 200 and `degraded`, and `hubs` says which is not well, or is being drained.
    """
    return await state["readiness"].require(ignored=ignore)


@router.get("/metrics", include_in_schema=False, response_class=Response)
async def metrics(state: StateDep, authorization: Annotated[str, Header()] = "") -> Response:
    """Write this replica's metrics for who has the token. To others, as if nothing were here."""
    token = state["settings"].metrics_token
    expected = f"Bearer {token.get_secret_value()}" if token else ""
    if not expected or not secrets.compare_digest(authorization.encode(), expected.encode()):
        raise NotFound("There is nothing at this path. `/docs` lists what there is.")
    return Response(await state["gauges"].exposition(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


@router.get("/.well-known/jwks.json")
async def list_keys(state: StateDep, response: Response) -> Jwks:
    """Publish the key that verifies receipts, as a JWK set."""
    response.headers["Cache-Control"] = "public, max-age=3600"
    return Jwks(keys=[state["signer"].jwk])


@router.get("/v1/doctor", dependencies=[TAKES_ITS_TIME], responses=responses(*TOKEN_PROBLEMS, BackendOnly))
async def diagnose(caller: BackendDep, state: StateDep) -> Diagnosis:
    """Examine the deployment, as `inset doctor` does; of the host applications, the caller's alone."""
    return Diagnosis(findings=await state["doctor"].examine(host_id=caller.host_id))
