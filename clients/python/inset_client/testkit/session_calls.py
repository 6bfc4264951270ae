"""How the fake answers calls on sessions, and the frame that shows a notebook."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from inset_client.testkit.notebook_calls import Call, read_json
from inset_client.testkit.paging import page
from inset_client.testkit.problems import FakeProblem, invalid, missing
from inset_client.testkit.state import OVER, STARTING, FakeSession

if TYPE_CHECKING:
    from inset_client.testkit.fake import FakeInset

FRAME = Path(__file__).with_name("frame.html")
_LOOKS_EVERY = 0.02
_TICKET_SECONDS = 60


async def open_session(fake: "FakeInset", request: Request) -> Response:
    caller, body = fake.caller(request), await read_json(request)
    if body.get("credentials"):
        caller.require_backend()
    notebook = fake.notebooks.get(body.get("notebook_id", ""))
    if notebook is None or notebook.owner != caller.user or notebook.deleted:
        raise missing("notebook")

    async def make() -> Response:
        for session in fake.live(caller.user, notebook.id):
            session.advance(notebook.current.number)
            if session.state not in ("ending", *OVER):
                return JSONResponse(session.public(), 200, {"Location": f"/v1/sessions/{session.id}"})
        held = _times(body.get("credentials") or {})
        session = fake.open(notebook.id, may=sorted(caller.may), credentials=held)
        return JSONResponse(session.public(), 202, {"Location": f"/v1/sessions/{session.id}"})

    return await fake.once(request, caller, make)


async def list_sessions(fake: "FakeInset", request: Request) -> Response:
    caller, state = fake.caller(request), request.query_params.get("state")
    if state not in (None, "live"):
        raise invalid("query.state", "Input should be 'live'")
    mine = [each for each in fake.sessions.values() if each.owner == caller.user]
    for session in mine:
        session.advance(fake.notebooks[session.notebook_id].current.number)
    return page(request, [each.public() for each in reversed(mine) if state is None or each.state not in OVER])


async def get_session(fake: "FakeInset", request: Request) -> Response:
    return JSONResponse(fake.session(request, fake.caller(request)).public())


async def close_session(fake: "FakeInset", request: Request) -> Response:
    session = fake.session(request, fake.caller(request))
    session.end("closed")
    return JSONResponse(session.public(), 202)


async def follow_session(fake: "FakeInset", request: Request) -> Response:
    session = fake.session(request, fake.caller(request))
    after = request.headers.get("Last-Event-ID", "0")
    if not after.isdecimal():
        raise invalid("header.last-event-id", "Input should be a valid integer")
    return StreamingResponse(_events(fake, session, int(after)), media_type="text/event-stream")


async def put_credentials(fake: "FakeInset", request: Request) -> Response:
    caller = fake.caller(request)
    caller.require_backend()
    session = fake.session(request, caller)
    _require_not_over(session)
    session.credentials = _times((await read_json(request)).get("credentials", {}))
    session.tell("credentials", names=sorted(session.credentials))
    return JSONResponse({"expires_at": session.credentials})


async def create_iframe_url(fake: "FakeInset", request: Request) -> Response:
    session = fake.session(request, fake.caller(request))
    _require_ready(session)
    query = urlencode({"session": session.id, "host": fake.origin})
    expires = datetime.now(UTC) + timedelta(seconds=_TICKET_SECONDS)
    url = f"{fake.frames}/frame?{query}#ticket={uuid4().hex}"
    return JSONResponse({"url": url, "expires_at": expires.isoformat()}, 201)


async def save_session(fake: "FakeInset", request: Request) -> Response:
    caller = fake.caller(request)
    caller.require("edit")
    session = fake.session(request, caller)
    _require_ready(session)
    notebook = fake.notebooks[session.notebook_id]
    current = notebook.current
    told = {"version": current.number, "sha256": current.sha256, "created": False, "flushed": True}
    return JSONResponse({**told, "receipt": fake.signer.receipt(notebook, current)})


async def frame(fake: "FakeInset", request: Request) -> Response:
    return HTMLResponse(FRAME.read_text())


async def save_from_frame(fake: "FakeInset", request: Request) -> Response:
    """Store what the frame's page holds; it is believed, since only the browser of a test knows the session."""
    if fake.down:
        raise FakeProblem(503, "hub-unavailable", "The hub is unavailable")
    session = fake.sessions[request.query_params["session"]]
    notebook = fake.notebooks[session.notebook_id]
    content = await request.body()
    # What is as it was makes no version.
    made = notebook.current if content == notebook.current.content else fake.save(notebook.id, content)
    receipt = fake.signer.receipt(notebook, made)
    return JSONResponse({"version": made.number, "sha256": made.sha256, "receipt": receipt})


async def _events(fake: "FakeInset", session: FakeSession, after: int) -> AsyncIterator[str]:
    while True:
        session.advance(fake.notebooks[session.notebook_id].current.number)
        for id, kind, data in list(session.events):
            if id > after:
                after = id
                yield f"id: {id}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
        if session.state in OVER:
            return
        await asyncio.sleep(_LOOKS_EVERY)


def _require_not_over(session: FakeSession) -> None:
    if session.state in ("ending", *OVER):
        raise FakeProblem(410, "session-over", "Session is over", "Open a new one to go on.", state=session.state)


def _require_ready(session: FakeSession) -> None:
    _require_not_over(session)
    if session.state in STARTING:
        raise FakeProblem(409, "session-not-ready", "Session is not ready", "Follow its events.", state=session.state)


def _times(credentials: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    return {name: one.get("expires_at") for name, one in credentials.items()}


_ONE = "/v1/sessions/{id}"
CALLS: list[tuple[str, str, Call]] = [
    ("POST", "/v1/sessions", open_session),
    ("GET", "/v1/sessions", list_sessions),
    ("GET", _ONE, get_session),
    ("DELETE", _ONE, close_session),
    ("GET", f"{_ONE}/events", follow_session),
    ("PUT", f"{_ONE}/credentials", put_credentials),
    ("POST", f"{_ONE}/iframe-url", create_iframe_url),
    ("POST", f"{_ONE}/save", save_session),
    ("GET", "/frame", frame),
    ("POST", "/frame/save", save_from_frame),
]
