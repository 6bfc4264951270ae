"""The service as a save bridge sees it: `/bridge/v1` over notebooks in memory, with opaque tickets and credentials."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

ALIVE_SECONDS = 15
"""After so many without an event there is a comment, as from the real one: a bridge takes a stream for dead else."""


@dataclass
class FakeVersion:
    number: int
    parent: int | None
    content: bytes
    origin: str

    @property
    def receipt(self) -> str:
        return f"receipt of version {self.number}"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass
class FakeNotebook:
    name: str
    versions: list[FakeVersion] = field(default_factory=list)
    current: int = 0
    sent: int = 0
    """How often a bridge has sent a content of it."""

    @property
    def newest(self) -> FakeVersion:
        return self.versions[-1]

    def add(self, content: bytes, *, parent: int | None, origin: str) -> FakeVersion:
        version = FakeVersion(len(self.versions) + 1, parent, content, origin)
        self.versions.append(version)
        if parent in (None, self.current):
            self.current = version.number
        return version


@dataclass
class FakeTicket:
    server_id: str
    hub_token: str
    notebook_id: str
    next: str
    problem: str = ""
    expires_in: float = 43200
    used: bool = False


class FakeService:
    """Its state is changed by the tests, directly or with the verbs."""

    def __init__(self) -> None:
        self.notebooks: dict[str, FakeNotebook] = {}
        self.tickets: dict[str, FakeTicket] = {}
        self.credentials: dict[str, str] = {}
        """Server ids by access token."""
        self.call_key: str | None = "the key of this service's calls"
        """None for a service from before there was one."""
        self.hub_tokens: set[str] = set()
        """What bridges showed to get a credential."""
        self.paths: dict[str, str] = {}
        """Where a notebook's file was renamed to."""
        self.over: set[str] = set()
        """Sessions that may have no frame any more."""
        self.origins: dict[str, tuple[str, ...]] = {}
        """By server ids: those of the pages that may have its frames, if they are told at all."""
        self.streams: dict[asyncio.Queue[str], str] = {}
        """The open control streams, each with its server's id."""
        self.tells_control = True
        """False for a service from before there were control streams."""
        self.asked_in_vain: list[str | None] = []
        """Whose bridges asked such a service for one: a server's id for each time."""
        self.data_credentials: dict[str, tuple[str, dict[str, Any]]] = {}
        """What hosts have passed, by notebooks: for which server, and its credentials."""
        self.activity: list[tuple[str, float]] = []
        """What bridges told: their server, and how long ago somebody worked in it."""
        self.calls: list[str] = []
        self.down = False
        self.loses_answers = False
        """Stores what it is sent, and its answer gets lost."""
        self.taking = asyncio.Event()
        """While it is not set, contents are neither stored nor answered."""
        self.taking.set()
        self.largest = 10_000_000
        self.app = Starlette(
            routes=[
                Route("/bridge/v1/credentials", self._credentials, methods=["POST"]),
                Route("/bridge/v1/tickets/redeem", self._redeem, methods=["POST"]),
                Route("/bridge/v1/control", self._control),
                Route("/bridge/v1/data-credentials", self._data_credentials),
                Route("/bridge/v1/activity", self._activity, methods=["POST"]),
                Route("/bridge/v1/notebooks", self._create, methods=["POST"]),
                Route("/bridge/v1/notebooks/{id}", self._rename, methods=["PATCH"]),
                Route("/bridge/v1/notebooks/{id}/content", self._put, methods=["PUT"]),
            ]
        )

    def add_notebook(self, content: bytes, *, name: str = "Analysis") -> str:
        notebook_id = str(uuid.uuid4())
        self.notebooks[notebook_id] = FakeNotebook(name)
        self.notebooks[notebook_id].add(content, parent=None, origin="api")
        return notebook_id

    def issue_ticket(
        self,
        *,
        hub_token: str,
        notebook_id: str,
        next: str,
        server_id: str,
        problem: str = "",
        expires_in: float = 43200,
    ) -> str:
        ticket = f"ticket-{uuid.uuid4().hex}"
        self.tickets[ticket] = FakeTicket(server_id, hub_token, notebook_id, next, problem, expires_in)
        return ticket

    def forget_credentials(self) -> None:
        """As if every access token had expired."""
        self.credentials.clear()

    def end_session(self, notebook_id: str, *, within: float = 0) -> None:
        """End a notebook's session, and tell every bridge that listens."""
        self.over.add(session_of(notebook_id))
        for stream in self.streams:
            stream.put_nowait(_event("over", session_id=session_of(notebook_id), reason="revoked", within=within))

    def move_host(self, server_id: str, *origins: str) -> None:
        """Let these be the origins of the host's pages; streams end, so that bridges ask how things stand."""
        self.origins[server_id] = origins
        self.break_streams()

    def pass_credentials(self, notebook_id: str, server_id: str, **values: str) -> None:
        """Let these be the data credentials of a notebook's session, and tell its server's bridge."""
        told = {name: {"value": value, "expires_at": None} for name, value in values.items()}
        self.data_credentials[notebook_id] = server_id, told
        for stream, listening in self.streams.items():
            if listening == server_id:
                stream.put_nowait(_event("credentials", session_id=session_of(notebook_id)))

    def break_streams(self) -> None:
        """End every control stream, as a replica that is stopped."""
        for stream in self.streams:
            stream.put_nowait("")

    async def until(self, reached: Callable[[], object], *, within: float = 40) -> None:
        async with asyncio.timeout(within):
            while not reached():
                await asyncio.sleep(0.01)

    async def _credentials(self, request: Request) -> Response:
        self.calls.append("credentials")
        if self.down:
            return Response(status_code=503)
        scheme, _, hub_token = request.headers["Authorization"].partition(" ")
        if scheme != "token" or not hub_token:
            return _problem(401, "unknown-server")
        self.hub_tokens.add(hub_token)
        access_token = uuid.uuid4().hex
        self.credentials[access_token] = (await request.json())["server_id"]
        key = {"call_key": self.call_key} if self.call_key else {}
        return JSONResponse({"access_token": access_token, "expires_in": 600, **key})

    async def _control(self, request: Request) -> Response:
        if not self.tells_control:
            self.calls.append("control")
            self.asked_in_vain.append(self._server(request))
            return _problem(404, "not-found")
        refused = self._refused(request, "control")
        return refused or StreamingResponse(self._told(str(self._server(request))), media_type="text/event-stream")

    async def _told(self, server_id: str) -> AsyncIterator[str]:
        stream: asyncio.Queue[str] = asyncio.Queue()
        self.streams[stream] = server_id
        try:
            entered = {session_of(ticket.notebook_id) for ticket in self.tickets.values()}
            origins = {"origins": self.origins[server_id]} if server_id in self.origins else {}
            yield _event("sessions", session_ids=sorted(entered - self.over), **origins)
            while event := await _next(stream):
                yield event
        finally:
            del self.streams[stream]

    async def _data_credentials(self, request: Request) -> Response:
        refused = self._refused(request, "data-credentials")
        sessions = [
            {"session_id": session_of(notebook_id), "notebook_id": notebook_id, "credentials": credentials}
            for notebook_id, (server_id, credentials) in self.data_credentials.items()
            if server_id == self._server(request) and session_of(notebook_id) not in self.over
        ]
        return refused or JSONResponse({"sessions": sessions})

    async def _activity(self, request: Request) -> Response:
        # Not among the calls: it comes by itself, at any time.
        server_id = self._server(request)
        if self.down or server_id is None:
            return Response(status_code=503) if self.down else _problem(401, "unknown-server")
        told = await request.json()
        self.activity.append((server_id, told["idle_for"]))
        return JSONResponse(told)

    async def _redeem(self, request: Request) -> Response:
        refused = self._refused(request, "redeem")
        if refused:
            return refused
        ticket = self.tickets.get((await request.json())["ticket"])
        if ticket is None:
            return _problem(403, "ticket-invalid")
        if ticket.problem:
            return _problem(410 if ticket.problem == "session-over" else 403, ticket.problem)
        if ticket.server_id != self._server(request):
            return _problem(403, "ticket-for-another-server")
        if ticket.used:
            return _problem(403, "ticket-used")
        ticket.used = True
        return JSONResponse(
            {
                "hub_token": ticket.hub_token,
                "expires_in": ticket.expires_in,
                "session_id": session_of(ticket.notebook_id),
                "notebook_id": ticket.notebook_id,
                "next": ticket.next,
            }
        )

    async def _put(self, request: Request) -> Response:
        refused = self._refused(request, "put")
        if refused:
            return refused
        notebook = self.notebooks.get(request.path_params["id"])
        if notebook is None:
            return _problem(404, "notebook-not-found")
        notebook.sent += 1
        await self.taking.wait()
        content = await request.body()
        if len(content) > self.largest:
            return _problem(413, "notebook-too-large")
        base = int(request.headers["If-Match"].strip('"'))
        unanswered = request.headers.get("Inset-Unanswered", "").split(",")
        base = max([base, *[held.number for held in notebook.versions if held.sha256 in unanswered]])
        origin = request.headers["Inset-Origin"]
        for held in notebook.versions:
            if held.content == content and (held.number in (base, notebook.current) or held.parent == base):
                held.origin = origin if (held.origin, origin) == ("autosave", "save") else held.origin
                if self.loses_answers:
                    return Response(status_code=502)
                return JSONResponse(
                    {"version": held.number, "sha256": held.sha256, "created": False, "receipt": held.receipt}
                )
        stored = notebook.add(content, parent=base, origin=origin)
        if self.loses_answers:
            return Response(status_code=502)
        if notebook.current != stored.number:
            resolve = f"/v1/notebooks/{request.path_params['id']}/versions/{stored.number}/resolve"
            return _problem(
                409,
                "version-conflict",
                current_version=notebook.current,
                kept_version=stored.number,
                resolve=resolve,
            )
        return JSONResponse(
            {"version": stored.number, "sha256": stored.sha256, "created": True, "receipt": stored.receipt}
        )

    async def _rename(self, request: Request) -> Response:
        refused = self._refused(request, "rename")
        if refused:
            return refused
        path = (await request.json())["path"]
        self.paths[request.path_params["id"]] = path
        name = path.rsplit("/", 1)[-1].removesuffix(".ipynb")
        self.notebooks[request.path_params["id"]].name = name
        return JSONResponse({"name": name})

    async def _create(self, request: Request) -> Response:
        refused = self._refused(request, "create")
        if refused:
            return refused
        notebook_id = self.add_notebook(await request.body(), name=unquote(request.headers["Inset-Name"]))
        version = self.notebooks[notebook_id].newest
        body = {
            "notebook_id": notebook_id,
            "version": version.number,
            "sha256": version.sha256,
            "receipt": version.receipt,
        }
        return JSONResponse(body, status_code=201)

    def _refused(self, request: Request, call: str) -> Response | None:
        self.calls.append(call)
        if self.down:
            return Response(status_code=503)
        return None if self._server(request) else _problem(401, "unknown-server")

    def _server(self, request: Request) -> str | None:
        return self.credentials.get(request.headers["Authorization"].removeprefix("Bearer "))


def session_of(notebook_id: str) -> str:
    """The id of a notebook's one session."""
    return f"session-of-{notebook_id}"


async def _next(stream: asyncio.Queue[str]) -> str:
    """Wait for a stream's next event; a sign of life if there is none for long."""
    try:
        async with asyncio.timeout(ALIVE_SECONDS):
            return await stream.get()
    except TimeoutError:
        return ": ping\n\n"


def _event(event: str, **data: object) -> str:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"


def _problem(status: int, slug: str, **members: object) -> Response:
    body = {"type": f"urn:inset:problem:{slug}", "title": slug, "status": status, **members}
    return JSONResponse(body, status, media_type="application/problem+json")
