"""What operators' tools ask: is it alive, is it ready."""

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import text

from inset.deps import BackendDep, StateDep
from inset.doctor import Finding
from inset.errors import TOKEN_PROBLEMS, BackendOnly, HubBusy, HubUnavailable
from inset.problems import responses
from inset.signing import PublicJwk

router = APIRouter(tags=["operations"])


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


@router.get("/readyz", responses=responses(HubUnavailable, HubBusy))
async def ready(state: StateDep) -> Health:
    """Tell that the database and the hub answer too."""
    async with state["database"].transaction(read_only=True) as db:
        await db.exec(text("SELECT 1"))  # type: ignore[call-overload]
    await state["hub"].alive()
    return Health()


@router.get("/.well-known/jwks.json")
async def list_keys(state: StateDep, response: Response) -> Jwks:
    """Publish the key that verifies receipts, as a JWK set."""
    response.headers["Cache-Control"] = "public, max-age=3600"
    return Jwks(keys=[state["signer"].jwk])


@router.get("/v1/doctor", responses=responses(*TOKEN_PROBLEMS, BackendOnly))
async def diagnose(caller: BackendDep, state: StateDep) -> Diagnosis:
    """Examine the deployment, as `inset doctor` does; of the host applications, the caller's alone."""
    return Diagnosis(findings=await state["doctor"].examine(host_id=caller.host_id))
