"""A JupyterHub at the wire: its REST API, and behind its proxy the servers it started, with or without our bridge.

It is believed because it passes the contract tests of the real one. What it can do beside: be down, slow, busy or
talk nonsense, hold a spawn or a load, fail a spawn, and lose a server that was ready.
"""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

SERVICE_TOKEN = "the-fake-hubs-service-token"
SERVICE_SCOPES = [
    f"{scope}!group=seats"
    for scope in (
        "delete:servers",
        "list:users",
        "read:servers",
        "read:tokens",
        "read:users:name",
        "servers",
        "start:servers",
        "tokens",
    )
]

Trouble = Literal["down", "slow", "error", "busy", "html"]


@dataclass
class FakeServer:
    """A seat's server, from the request to start it until it has stopped."""

    seat: str
    options: dict[str, Any]
    own_token: str = field(default_factory=lambda: uuid4().hex)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    failed: bool = False
    cut: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether who follows its start is cut off."""
    last_activity: datetime = field(default_factory=lambda: datetime.now(UTC))
    files: dict[str, str] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the bridge was given to watch, by notebook."""
    known_paths: dict[str, str] = field(default_factory=dict)
    """Where each notebook's file is, or was when the bridge last watched it."""
    kernels: dict[str, str] = field(default_factory=dict)
    page_edits: dict[str, str] = field(default_factory=dict)
    """Unsaved edits of an open page, by path, which a flush brings to disk first."""
    owed: dict[str, str] = field(default_factory=dict)
    """What Jupyter has written and the bridge not yet sent, by path: it does so when it is stopped."""
    credential: dict[str, str] = field(default_factory=dict)
    """What the service has told the bridge to show and to be shown, once it has asked."""
    deaf: bool = False
    """Answers nothing any more, though the hub still believes that it is there."""


class FakeHub:
    """The hub, and what a test can do to it."""

    def __init__(self, *, seats: int = 3, bridged: bool = True, token: str = SERVICE_TOKEN) -> None:
        self.seats = [f"seat-{number:03}" for number in range(1, seats + 1)]
        self.bridged = bridged
        self.token = token
        """The service's."""
        self.shown: set[str] = set()
        """The tokens that callers have shown."""
        self.servers: dict[str, FakeServer] = {}
        self.dead: dict[str, FakeServer] = {}
        """Those that were killed, by their id: the next start of one finds its folder."""
        self.forgotten: dict[str, FakeServer] = {}
        """Those that run in their seats though it does not know them any more, by seat."""
        self.tokens: dict[str, str] = {}
        """Tokens minted for seats, each with its seat."""
        self.notes: dict[str, str] = {}
        """What each token is for, as its maker said."""
        self.trouble: Trouble | None = None
        self._comes_back = False
        self.public_url = "http://nb.localhost:8000"
        self.isolated = True
        """Whether each seat is a subdomain of the public URL."""
        self.version = "6.1.1"
        self.scopes = list(SERVICE_SCOPES)
        self.clock_ahead = timedelta(0)
        self.upgrades = True
        """Whether the proxy passes websockets on."""
        self.concurrent_spawn_limit = 0
        self.active_server_limit = 0
        """As in the hub's configuration: where there is no room a start is refused. 0 is no limit."""
        self.keeps_data_inside = True
        """Whether its spawner can keep a server to a restricted policy."""
        self.spawns_hold = False
        self.pulls: asyncio.Event | None = None
        """Have spawns fetch their image first, until this is set, and tell of it as KubeSpawner does."""
        self.spawns_fail = False
        self.spawns_fail_later = False
        self.requests: list[str] = []
        self.started: list[str] = []
        """The ids of the servers that it has started, and below of those that it was asked to stop while they ran."""
        self.stopped: list[str] = []
        self.cookies: list[str] = []
        """What came as `Cookie`, which should be nothing."""
        self.server_headers: dict[str, str] = {}
        """What a server's user makes it send beside its answers."""
        self.knows_calls = True
        """Whether the bridges know what the service has signed; those from before then do not."""
        self.loads_hold: asyncio.Event | None = None
        """Have the bridges answer only when this is set that they took a notebook."""
        self.nonsense = False
        """Have the bridges answer what they should not."""
        self.service: httpx.AsyncClient | None = None
        """How the bridges reach the service."""
        everything = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        self.app = Starlette(
            routes=[
                Route("/hub/api/", self._root),
                Route("/hub/api/user", self._whoami),
                Route("/hub/api/users", self._users),
                Route("/hub/api/users/{seat}", self._user),
                Route("/hub/api/users/{seat}/servers/", self._server_model),
                Route("/hub/api/users/{seat}/server", self._server, methods=["POST", "DELETE"]),
                Route("/hub/api/users/{seat}/server/progress", self._progress),
                Route("/hub/api/users/{seat}/leftover", self._leftover, methods=["GET", "DELETE"]),
                Route("/hub/api/users/{seat}/tokens", self._tokens, methods=["GET", "POST"]),
                Route("/hub/api/users/{seat}/tokens/{id}", self._revoke, methods=["DELETE"]),
                Route("/hub/{rest:path}", self._forbidden, methods=everything),
                Route("/user/{seat}/{rest:path}", self._proxied, methods=everything),
                WebSocketRoute("/user/{seat}/api/events/subscribe", self._socket),
            ]
        )

    # -- what tests do -------------------------------------------------------------------------------

    def server(self, seat: str = "seat-001") -> FakeServer:
        """Look inside a seat's server."""
        return self.servers[seat]

    async def until(self, reached: Callable[[], object], *, within: float = 30) -> None:
        """Wait until something is so, here or in a server; `within` are seconds."""
        async with asyncio.timeout(within):
            while not reached():
                await asyncio.sleep(0.02)

    def finish_spawning(self, seat: str = "seat-001") -> None:
        """Let a held spawn succeed, asked for already or in a moment."""
        self.spawns_hold = False
        if server := self.servers.get(seat):
            server.ready.set()

    def kill_server(self, seat: str = "seat-001") -> None:
        """Have a server die, and the hub notice."""
        server = self.servers.pop(seat)
        self.dead[server.options["server_id"]] = server

    def forget_server(self, seat: str = "seat-001") -> None:
        """Have the hub lose all that it knows of a server, which runs on."""
        self.forgotten[seat] = self.servers.pop(seat)

    def come_back(self) -> None:
        """End the trouble as soon as it has kept somebody from looking at a seat.

        A start that it refuses is followed by such a look. One that found all well, and nothing started, would tell of
        a spawn that failed.
        """
        self._comes_back = True

    async def save_in_jupyter(
        self, path: str, text: str, *, seat: str = "seat-001", origin: str = "autosave"
    ) -> httpx.Response:
        """Save a file inside Jupyter, so that its bridge sends it."""
        server = self.servers[seat]
        server.files[path] = text
        document = next(document for document in server.documents.values() if document["path"] == path)
        return await self._send(server, document, origin)

    async def credential(self, seat: str = "seat-001") -> dict[str, str]:
        """Fetch a bridge's credential as the bridge does; gives the header to use."""
        return _shown(await self._credential(self.servers[seat]))

    async def _credential(self, server: FakeServer) -> dict[str, str]:
        assert self.service
        answer = await self.service.post(
            "/bridge/v1/credentials",
            json={"server_id": server.options["server_id"]},
            headers={"Authorization": f"token {server.own_token}"},
        )
        server.credential = answer.raise_for_status().json()
        return server.credential

    async def tell_activity(self, idle_for: float = 0, *, seat: str = "seat-001") -> None:
        """Have a server's bridge tell when somebody last worked there."""
        assert self.service
        told = {"idle_for": idle_for}
        answer = await self.service.post("/bridge/v1/activity", json=told, headers=await self.credential(seat))
        assert answer.json() == told

    # -- the hub's API -------------------------------------------------------------------------------

    async def _root(self, request: Request) -> Response:
        return await self._troubled() or self._dated(JSONResponse({"version": self.version}))

    async def _forbidden(self, request: Request) -> Response:
        return JSONResponse({"status": 403, "message": "Forbidden"}, 403)

    async def _whoami(self, request: Request) -> Response:
        if trouble := await self._troubled():
            return trouble
        token = _token(request)
        self.shown.add(token)
        seat = self.tokens.get(token) or next((s.seat for s in self.servers.values() if s.own_token == token), None)
        if seat:
            return JSONResponse({"kind": "user", "name": seat, "scopes": [f"access:servers!server={seat}/"]})
        if token == self.token:
            return JSONResponse({"kind": "service", "name": "inset", "scopes": self.scopes})
        return JSONResponse({"status": 403, "message": "Missing or invalid credentials."}, 403)

    async def _user(self, request: Request) -> Response:
        try:
            if refused := await self._refused(request):
                return refused
        finally:
            if self._comes_back:
                self.trouble, self._comes_back = None, False
        seat = request.path_params["seat"]
        server = self.servers.get(seat)
        return JSONResponse({"name": seat, "kind": "user", "servers": {"": self._model(server)} if server else {}})

    async def _users(self, request: Request) -> Response:
        if refused := await self._refused(request):
            return refused
        if "list:users!group=seats" not in self.scopes:
            return JSONResponse({"status": 403, "message": "Action is not authorized with current scopes"}, 403)
        offset, limit = (int(request.query_params[name]) for name in ("offset", "limit"))
        active = [seat for seat in self.seats if seat in self.servers]
        page = [
            {"name": seat, "kind": "user", "servers": {"": self._model(self.servers[seat])}}
            for seat in active[offset : offset + limit]
        ]
        more = {"offset": offset + limit, "limit": limit} if offset + limit < len(active) else None
        paging = {"offset": offset, "limit": limit, "total": len(active), "next": more}
        return JSONResponse({"items": page, "_pagination": paging})

    async def _server_model(self, request: Request) -> Response:
        if refused := await self._refused(request):
            return refused
        seat = request.path_params["seat"]
        stopped = {"name": "", "ready": False, "stopped": True, "user_options": None, "full_url": self._full_url(seat)}
        return JSONResponse(self._model(self.servers[seat]) if seat in self.servers else stopped)

    async def _server(self, request: Request) -> Response:
        if refused := await self._refused(request):
            return refused
        seat = request.path_params["seat"]
        if request.method == "DELETE":
            if server := self.servers.get(seat):
                await self._send_owed(server)
                if self.servers.pop(seat, None):
                    self.stopped.append(server.options.get("server_id", ""))
            return Response(status_code=204)
        if seat in self.servers:
            if not self.servers[seat].ready.is_set():
                return Response(status_code=202)
            return JSONResponse({"status": 400, "message": f"{seat} is already running"}, 400)
        if full := self._full():
            return full
        if self.spawns_fail:
            return JSONResponse({"status": 500, "message": "Unhandled error starting server secret-of-the-hub"}, 500)
        options = (await request.json())["user_options"]
        if options.get("data_policy") == "restricted" and not self.keeps_data_inside:
            return JSONResponse({"status": 400, "message": "policy-not-enforceable"}, 400)
        server = self.servers[seat] = FakeServer(seat, options)
        left = self.forgotten.pop(seat, None)
        if left and left.options["server_id"] == options["server_id"]:
            server = self.servers[seat] = left
        elif before := self.dead.pop(options["server_id"], None):
            server.documents, server.owed = before.documents, before.owed
        self.started.append(options["server_id"])
        server.failed = self.spawns_fail_later
        if not self.spawns_hold and not server.failed:
            server.ready.set()
        return Response(status_code=202)

    async def _leftover(self, request: Request) -> Response:
        if refused := await self._refused(request):
            return refused
        seat = request.path_params["seat"]
        if seat in self.servers or seat not in self.forgotten:
            return JSONResponse({"status": 404, "message": "Not Found"}, 404)
        if request.method == "GET":
            return JSONResponse({"server_id": self.forgotten[seat].options.get("server_id", "")})
        del self.forgotten[seat]
        return Response(status_code=202)

    def _full(self) -> Response | None:
        # Of these two the first alone says when to come back; both say "Too Many Requests".
        spawning = sum(not server.ready.is_set() for server in self.servers.values())
        if self.concurrent_spawn_limit and spawning >= self.concurrent_spawn_limit:
            return JSONResponse({"status": 429, "message": "Too many users"}, 429, headers={"Retry-After": "42"})
        if self.active_server_limit and len(self.servers) >= self.active_server_limit:
            return JSONResponse({"status": 429, "message": "Active user limit exceeded"}, 429)
        return None

    async def _progress(self, request: Request) -> Response:
        if refused := await self._refused(request):
            return refused
        server = self.servers.get(request.path_params["seat"])
        if server is None:
            return JSONResponse({"status": 404, "message": "not running"}, 404)
        return StreamingResponse(self._steps(server), media_type="text/event-stream")

    async def _steps(self, server: FakeServer) -> AsyncIterator[str]:
        yield _event({"progress": 0, "message": "Server requested"})
        if self.pulls:
            yield _event({"progress": 30, "message": '[Normal] Pulling image "secret-of-the-hub"'})
            yield _event({"message": "secret-of-the-hub has waited for 20 seconds"})
            await self.pulls.wait()
            yield _event({"progress": 50, "message": '[Normal] Successfully pulled image "secret-of-the-hub"'})
        while not server.ready.is_set():
            if server.cut.is_set():
                server.cut.clear()
                raise ConnectionError("the fake hub drops the connection")
            if server.failed or self.servers.get(server.seat) is not server:
                self.servers.pop(server.seat, None)
                yield _event({"progress": 100, "failed": True, "message": "Spawn failed: secret-of-the-hub"})
                return
            await asyncio.sleep(0.01)
        url = self._full_url(server.seat) if self.isolated else f"/user/{server.seat}/"
        yield _event({"progress": 100, "ready": True, "url": url})

    async def _revoke(self, request: Request) -> Response:
        if refused := await self._refused(request):
            return refused
        gone = self.tokens.pop(request.path_params["id"], None)
        return Response(status_code=204 if gone else 404)

    async def _tokens(self, request: Request) -> Response:
        if refused := await self._refused(request):
            return refused
        seat = request.path_params["seat"]
        if request.method == "GET":
            mine = [token for token, of in self.tokens.items() if of == seat]
            return JSONResponse({"api_tokens": [{"id": token, "note": self.notes[token]} for token in mine]})
        wish = await request.json()
        if wish["scopes"] != [f"access:servers!server={seat}/"] or not isinstance(wish["expires_in"], int):
            return JSONResponse({"status": 400, "message": "Bad scopes"}, 400)
        token = uuid4().hex
        self.tokens[token], self.notes[token] = seat, wish["note"]
        return JSONResponse({"token": token, "user": seat}, 201)

    def _model(self, server: FakeServer) -> dict[str, Any]:
        ready = server.ready.is_set()
        return {
            "name": "",
            "ready": ready,
            "pending": None if ready else "spawn",
            "stopped": False,
            "url": f"/user/{server.seat}/",
            "full_url": self._full_url(server.seat),
            "last_activity": server.last_activity.isoformat(),
            "user_options": server.options,
        }

    def _full_url(self, seat: str) -> str:
        scheme, _, name = self.public_url.partition("://")
        return f"{scheme}://{f'{seat}.' if self.isolated else ''}{name}/user/{seat}/"

    def _dated(self, response: Response) -> Response:
        if self.clock_ahead:
            response.headers["Date"] = format_datetime(datetime.now(UTC) + self.clock_ahead, usegmt=True)
        return response

    async def _refused(self, request: Request) -> Response | None:
        self.requests.append(f"{request.method} {request.url.path}")
        self.shown.add(_token(request))
        self._note_cookies(request)
        if trouble := await self._troubled():
            return trouble
        if _token(request) != self.token:
            return JSONResponse({"status": 403, "message": "Forbidden"}, 403)
        if request.path_params.get("seat", self.seats[0]) not in self.seats:
            return JSONResponse({"status": 404, "message": "Not Found"}, 404)
        return None

    def _note_cookies(self, request: Request) -> None:
        if "Cookie" in request.headers:
            self.cookies.append(request.headers["Cookie"])

    async def _troubled(self) -> Response | None:
        match self.trouble:
            case "down":
                raise ConnectionError("the fake hub drops the connection")
            case "slow":
                await asyncio.sleep(30)
            case "error":
                return JSONResponse({"status": 500, "message": "secret-of-the-hub"}, 500)
            case "busy":
                return JSONResponse({"status": 429, "message": "Too many"}, 429, headers={"Retry-After": "30"})
            case "html":
                return HTMLResponse("<h1>secret-of-the-hub</h1>")
        return None

    # -- its servers ---------------------------------------------------------------------------------

    async def _proxied(self, request: Request) -> Response:
        seat, rest = request.path_params["seat"], request.path_params["rest"]
        server = self.servers.get(seat)
        self.shown.add(_token(request))
        self._note_cookies(request)
        if server is None or server.deaf:
            return HTMLResponse("<h1>503 : Service Unavailable</h1>", 503)
        if request.headers["Host"] != urlsplit(self._full_url(seat)).netloc:
            return Response(status_code=302, headers={"Location": "/hub/login"})
        if self.bridged and rest == "inset/enter":
            ancestors = {"Content-Security-Policy": "frame-ancestors " + " ".join(server.options["origins"])}
            return HTMLResponse("<h1>Opening</h1>", headers={**ancestors, **self.server_headers})
        if self.tokens.get(_token(request)) != seat and not await self._is_signed(request, server):
            return JSONResponse({"message": "Forbidden"}, 403)
        body = json.loads(await request.body() or "null")
        if self.bridged and rest.startswith("inset/api/"):
            ask_page = request.query_params.get("ask_page") != "false"
            return await self._bridge(server, request.method, rest.removeprefix("inset/api/"), body, ask_page=ask_page)
        if rest == "api/sessions":
            return JSONResponse([{"id": id, "path": path} for id, path in server.kernels.items()])
        if rest.startswith("api/sessions/"):
            server.kernels.pop(rest.removeprefix("api/sessions/"))
            return Response(status_code=204)
        if rest.startswith("api/contents/"):
            return _contents(server, request.method, unquote(rest.removeprefix("api/contents/")), body)
        return JSONResponse({"message": "Not Found"}, 404)

    async def _is_signed(self, request: Request, server: FakeServer) -> bool:
        """Tell whether the service has signed a call of its to a bridge that knows its signature."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        called = ("inset/api/documents/", "inset/api/flush")
        if not (self.bridged and self.knows_calls and self.service and scheme == "Inset"):
            return False
        if not request.path_params["rest"].startswith(called):
            return False
        try:
            key = (server.credential or await self._credential(server)).get("call_key")
        except httpx.HTTPStatusError:
            return False
        if not key:
            return False  # of a service from before there was one
        until, _, signature = token.partition(".")
        made = hmac.digest(key.encode(), f"{request.method} {request.url.path} {until}".encode(), "sha256")
        return int(until) > time.time() and hmac.compare_digest(made.hex(), signature)

    async def _socket(self, socket: WebSocket) -> None:
        seat = socket.path_params["seat"]
        if not self.upgrades or self.tokens.get(socket.headers.get("Authorization", "")[6:]) != seat:
            await socket.close()  # before it is accepted: 403
            return
        await socket.accept()
        await socket.close()

    async def _bridge(
        self, server: FakeServer, method: str, rest: str, body: dict[str, Any], *, ask_page: bool
    ) -> Response:
        if method == "PUT":
            notebook_id = rest.removeprefix("documents/")
            # A document that was here before stays where it is, even under another name.
            known = server.known_paths.setdefault(notebook_id, body["path"])
            server.files[known] = body.pop("content")
            server.documents[notebook_id] = {**body, "notebook_id": notebook_id, "path": known}
            if self.loads_hold:
                await self.loads_hold.wait()
            return JSONResponse({"bridge": "0.1.0", "protocol": 1, "path": known}, headers=self.server_headers)
        if self.nonsense:
            return JSONResponse({"version": "x", "sha256": 7})
        if rest == "flush":
            document = next((one for one in server.documents.values() if one["path"] == body["path"]), None)
        else:
            document = server.documents.pop(rest.removeprefix("documents/"), None)
        if document is None:
            return JSONResponse({"code": "unknown-document", "message": "Not attached"}, 404)
        if ask_page and (edits := server.page_edits.pop(document["path"], None)):
            server.files[document["path"]] = edits
        if method == "DELETE":
            server.kernels = {id: path for id, path in server.kernels.items() if path != document["path"]}
        sent = await self._send(server, document, "save" if rest == "flush" else "stop")
        if sent.status_code == 409:
            return JSONResponse({key: sent.json()[key] for key in ("current_version", "kept_version", "resolve")}, 409)
        answer = sent.raise_for_status().json()
        return JSONResponse(
            {"version": answer["version"], "sha256": answer["sha256"], "flushed": True, "path": document["path"]}
        )

    async def _send_owed(self, server: FakeServer) -> None:
        for document in server.documents.values():
            if owed := server.owed.pop(document["path"], None):
                server.files[document["path"]] = owed
                await self._send(server, document, "stop")

    async def _send(self, server: FakeServer, document: dict[str, Any], origin: str) -> httpx.Response:
        assert self.service
        about = {"If-Match": f'"{document["version"]}"', "Inset-Origin": origin}
        path, content = f"/bridge/v1/notebooks/{document['notebook_id']}/content", server.files[document["path"]]
        shown = _shown(server.credential or await self._credential(server))
        answer = await self.service.put(path, content=content.encode(), headers={**shown, **about})
        if answer.status_code == 401:
            shown = _shown(await self._credential(server))
            answer = await self.service.put(path, content=content.encode(), headers={**shown, **about})
        told = answer.json()
        document["version"] = told.get("version") or told.get("kept_version")
        return answer


def _contents(server: FakeServer, method: str, path: str, body: dict[str, Any] | None) -> Response:
    if method == "PUT" and body and body["type"] == "directory":
        return JSONResponse({"path": path}, 201)
    if method == "PUT" and body:
        server.files[path] = body["content"]
        return JSONResponse({"path": path}, 201)
    if path in server.files:
        return JSONResponse({"path": path, "type": "file", "format": "text", "content": server.files[path]})
    return JSONResponse({"message": f"file does not exist: {path}"}, 404)


def _shown(credential: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential['access_token']}"}


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


def _token(request: Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("token ")
