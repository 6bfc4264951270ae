"""How the fake answers calls on webhooks, and tells what happens as webhooks."""

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from inset_client.testkit.notebook_calls import Call
from inset_client.testkit.paging import page
from inset_client.testkit.problems import FakeProblem, invalid, missing
from inset_client.testkit.state import FakeNotebook, FakeSession, FakeVersion
from inset_client.testkit.webhooks import written

if TYPE_CHECKING:
    from inset_client.testkit.fake import FakeInset

_STATES = ("waiting", "delivered", "failed")
_OF_SESSIONS = ("autosave", "save", "stop")
"""Origins of what is saved inside Jupyter, in a session."""


async def list_deliveries(fake: "FakeInset", request: Request) -> Response:
    fake.caller(request).require_backend()
    state = request.query_params.get("state")
    if state not in (None, *_STATES):
        raise invalid("query.state", "Input should be 'waiting', 'delivered' or 'failed'")
    fake.advance()
    told = [each.public() for each in reversed(fake.deliveries) if state in (None, each.state)]
    return page(request, told)


async def resend(fake: "FakeInset", request: Request) -> Response:
    fake.caller(request).require_backend()
    delivery = next((each for each in fake.deliveries if each.id == request.path_params["id"]), None)
    if delivery is None:
        raise missing("delivery")
    if delivery.endpoint in fake.hooks.off:
        raise FakeProblem(409, "endpoint-off", "Endpoint is off", "It has answered 410.")
    delivery.again()
    return JSONResponse(delivery.public(), 202)


def tell_of_version(fake: "FakeInset", notebook: FakeNotebook, version: FakeVersion) -> None:
    """Tell of a stored version, or of one that was kept on the side."""
    live = fake.live(notebook.owner, notebook.id) if version.origin in _OF_SESSIONS else []
    facts: dict[str, Any] = {
        "host": fake.host.issuer,
        "user": notebook.owner,
        "notebook_id": notebook.id,
        "session_id": live[0].id if live else None,
        "version": version.number,
        "parent": version.parent,
        "sha256": version.sha256,
        "size": len(version.content),
        "origin": version.origin,
        "author": version.author,
        "stored_at": written(version.created_at),
        "receipt": fake.signer.receipt(notebook, version),
    }
    if version.aside:
        facts["current_version"] = notebook.current.number
    fake.hooks.happened("notebook.conflict" if version.aside else "notebook.saved", notebook.id, facts)


def tell_of_session(fake: "FakeInset", session: FakeSession, kind: str) -> None:
    """Tell that a session is ready, or over; of anything else, nothing."""
    if kind not in ("ready", "ended", "failed"):
        return
    facts: dict[str, Any] = {
        "host": fake.host.issuer,
        "user": session.owner,
        "session_id": session.id,
        "notebook_id": session.notebook_id,
        "profile": session.profile,
        "version": session.version,
        "opened_at": written(session.created_at),
        "ready_at": written(session.ready_at),
    }
    if kind == "ready":
        facts["embeddable"] = True
    else:
        facts["state"] = session.state
        facts["reason"] = session.failure["code"] if kind == "failed" and session.failure else session.ending_reason
        facts["ended_at"] = written(session.ended_at)
    fake.hooks.happened("session.ready" if kind == "ready" else "session.ended", session.id, facts)


CALLS: list[tuple[str, str, Call]] = [
    ("GET", "/v1/webhooks/deliveries", list_deliveries),
    ("POST", "/v1/webhooks/deliveries/{id:int}/resend", resend),
]
