"""How the fake answers what is about users, and what needs no token."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from inset_client.testkit.notebook_calls import Call

if TYPE_CHECKING:
    from inset_client.testkit.fake import FakeInset


async def revoke(fake: "FakeInset", request: Request) -> Response:
    fake.caller(request).require_backend()
    user = request.path_params["user"]
    ended = fake.revoke(user)
    told = {"user": user, "revoked_at": datetime.now(UTC).isoformat(), "sessions_ended": ended}
    return JSONResponse(told)


async def list_keys(fake: "FakeInset", request: Request) -> Response:
    return JSONResponse({"keys": [fake.signer.jwk]})


async def alive(fake: "FakeInset", request: Request) -> Response:
    return JSONResponse({"status": "ok"})


CALLS: list[tuple[str, str, Call]] = [
    ("POST", "/v1/users/{user:path}/revoke", revoke),
    ("GET", "/.well-known/jwks.json", list_keys),
    ("GET", "/healthz", alive),
]
