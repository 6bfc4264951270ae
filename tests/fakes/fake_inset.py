"""An Inset service at the wire, in memory: what a host's backend and page call, and one notebook frame.

It believes nobody: every JWT is verified as the contract says, and someone else's notebook is a 404.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from jose import JWTError, jwt

EMPTY = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
FRAME = Path(__file__).with_name("fake_frame.html")


class FakeProblem(Exception):
    def __init__(self, status: int, slug: str, title: str, detail: str = "", **members: Any) -> None:
        self.status = status
        told = {"type": f"urn:inset:problem:{slug}", "title": title, "status": status, "detail": detail}
        self.body = {**told, **members}


class FakeInset:
    """`down` and `refusing` change how it answers; `seen` lists the claims of every call."""

    def __init__(self, *, audience: str, key: str, origin: str, frames: str = "", host_id: str = "demo") -> None:
        self.audience, self.key, self.host_id, self.frames, self.origin = audience, key, host_id, frames, origin
        self.down = False
        self.refusing: FakeProblem | None = None
        self.unsettled: list[dict[str, Any]] = []
        """What no merge settles."""
        self.step = 0.0
        """Seconds that each step of opening a session takes."""
        self.notebooks: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.seen: list[dict[str, Any]] = []
        self.app = self._build()

    def save(self, notebook_id: str, content: bytes, *, origin: str, author: str) -> dict[str, Any]:
        """Store a version, and tell the notebook's live sessions."""
        notebook = self.notebooks[notebook_id]
        version = _version(notebook, content, origin=origin, author=author)
        notebook["versions"].append(version)
        notebook["updated_at"] = version["created_at"]
        for session in self._live(notebook["owner"]):
            if session["notebook_id"] == notebook_id:
                told = {"version": version["number"], **{k: version[k] for k in ("sha256", "origin", "author")}}
                _emit(session, "saved", told)
        return version

    def keep_aside(self, notebook_id: str, content: bytes, *, base: int) -> dict[str, Any]:
        """Store what a session's page saved on top of an old version, and tell the notebook's live sessions."""
        notebook = self.notebooks[notebook_id]
        current = _public(notebook)["version"]
        version = _version(notebook, content, origin="autosave", author=notebook["owner"])
        notebook["versions"].append(version | {"parent": base, "aside": "open"})
        for session in self._live(notebook["owner"]):
            if session["notebook_id"] == notebook_id:
                told = {"base_version": base, "current_version": current, "kept_version": version["number"]}
                resolve = f"/v1/notebooks/{notebook_id}/versions/{version['number']}/resolve"
                _emit(session, "conflict", {**told, "resolve": resolve})
        return version

    def open(self, notebook_id: str) -> dict[str, Any]:
        """Begin a session."""
        owner = self.notebooks[notebook_id]["owner"]
        session = {"id": uuid4().hex, "owner": owner, "notebook_id": notebook_id, "state": "starting", "events": []}
        self.sessions[session["id"]] = session | {"changed": asyncio.Event()}
        return self.sessions[session["id"]]

    def rename_inside_jupyter(self, notebook_id: str, name: str) -> None:
        self.notebooks[notebook_id]["name"] = name
        for session in self._live(self.notebooks[notebook_id]["owner"]):
            _emit(session, "renamed", {"name": name})

    def _live(self, owner: str) -> list[dict[str, Any]]:
        return [s for s in self.sessions.values() if s["owner"] == owner and s["state"] not in ("ended", "failed")]

    def _user(self, request: Request) -> str:
        """Verify the caller's JWT and give the user it speaks for."""
        if self.down:
            raise FakeProblem(503, "hub-unavailable", "The hub is unavailable", "Notebooks can't be reached just now.")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            assert scheme == "Bearer"
            assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "demo-1"}
            claims = jwt.decode(token, self.key, algorithms=["HS256"], audience=self.audience, issuer=self.host_id)
            assert time.time() - 5 <= claims["iat"] <= claims["exp"] <= time.time() + 600
        except (JWTError, AssertionError, KeyError) as exc:
            raise FakeProblem(401, "unauthorized", "The token is not accepted") from exc
        self.seen.append(claims)
        if self.refusing:
            raise self.refusing
        backend = claims["sub"] == self.host_id
        return str(claims["act_for"] if backend else claims["sub"])

    def _notebook(self, request: Request, id: str, *, deleted: bool = False) -> dict[str, Any]:
        user, notebook = self._user(request), self.notebooks.get(id)
        if notebook is None or notebook["owner"] != user or notebook["deleted"] != deleted:
            raise FakeProblem(404, "notebook-not-found", "There is no such notebook")
        return notebook

    def _session(self, request: Request, id: str) -> dict[str, Any]:
        user, session = self._user(request), self.sessions.get(id)
        if session is None or session["owner"] != user:
            raise FakeProblem(404, "session-not-found", "There is no such session")
        return session

    def _build(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[self.origin],
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Date", "ETag"],
        )

        @app.exception_handler(FakeProblem)
        async def problem(_: Request, exc: FakeProblem) -> JSONResponse:
            return JSONResponse(exc.body, exc.status, media_type="application/problem+json")

        @app.get("/healthz")
        async def alive() -> dict[str, str]:
            return {"status": "ok"}

        self._add_notebooks(app)
        self._add_sessions(app)
        return app

    def _add_notebooks(self, app: FastAPI) -> None:
        @app.post("/v1/notebooks", status_code=201)
        async def create(request: Request) -> dict[str, Any]:
            user, body, id = self._user(request), await request.json(), uuid4().hex
            self.notebooks[id] = {
                "id": id, "name": body["name"], "owner": user, "deleted": False, "versions": [], "created_at": _now(),
            }  # fmt: skip
            self.save(id, json.dumps(body.get("content", EMPTY)).encode(), origin="api", author=user)
            return _public(self.notebooks[id])

        @app.get("/v1/notebooks")
        async def list_all(request: Request, cursor: int = 0, limit: int = 100) -> dict[str, Any]:
            user = self._user(request)
            mine = [_public(n) for n in self.notebooks.values() if n["owner"] == user and not n["deleted"]]
            return {"items": mine[cursor : cursor + limit], "next_cursor": _next(mine, cursor, limit)}

        @app.get("/v1/notebooks/{id}")
        async def get(request: Request, id: str) -> dict[str, Any]:
            return _public(self._notebook(request, id))

        @app.patch("/v1/notebooks/{id}")
        async def rename(request: Request, id: str) -> dict[str, Any]:
            notebook = self._notebook(request, id)
            notebook["name"] = (await request.json())["name"]
            return _public(notebook)

        @app.delete("/v1/notebooks/{id}", status_code=204)
        async def delete(request: Request, id: str) -> None:
            notebook = self._notebook(request, id)
            if any(s["notebook_id"] == id for s in self._live(notebook["owner"])):
                raise FakeProblem(409, "notebook-in-use", "Notebook is open")
            notebook["deleted"] = True

        @app.post("/v1/notebooks/{id}/undelete")
        async def undelete(request: Request, id: str) -> dict[str, Any]:
            notebook = self._notebook(request, id, deleted=True)
            notebook["deleted"] = False
            return _public(notebook)

        @app.get("/v1/notebooks/{id}/versions")
        async def versions(request: Request, id: str, cursor: int = 0, limit: int = 20) -> dict[str, Any]:
            newest_first = [_without_content(v) for v in reversed(self._notebook(request, id)["versions"])]
            return {"items": newest_first[cursor : cursor + limit], "next_cursor": _next(newest_first, cursor, limit)}

        @app.get("/v1/notebooks/{id}/versions/{n}/content")
        async def content(request: Request, id: str, n: int) -> Response:
            version = self._notebook(request, id)["versions"][n - 1]
            return Response(version["content"], media_type="application/x-ipynb+json", headers={"ETag": f'"{n}"'})

        @app.get("/v1/notebooks/{id}/preview")
        async def preview(request: Request, id: str) -> Response:
            version = self._notebook(request, id)["versions"][-1]
            headers = {
                "Content-Security-Policy": f"default-src 'none'; frame-ancestors {self.origin}; sandbox allow-popups",
                "ETag": f'"{version["sha256"]}"',
                "Referrer-Policy": "no-referrer",
            }
            if request.headers.get("If-None-Match") == headers["ETag"]:
                return Response(status_code=304, headers=headers)
            return HTMLResponse(f"<p>Preview of version {version['number']}", headers=headers)

        @app.post("/v1/notebooks/{id}/versions/{n}/restore", status_code=201)
        async def restore(request: Request, id: str, n: int) -> dict[str, Any]:
            notebook = self._notebook(request, id)
            old = notebook["versions"][n - 1]
            return _without_content(self.save(id, old["content"], origin="restore", author=notebook["owner"]))

        @app.post("/v1/notebooks/{id}/versions/{n}/resolve", status_code=201)
        async def resolve(request: Request, id: str, n: int) -> dict[str, Any]:
            notebook, take = self._notebook(request, id), (await request.json())["take"]
            kept = notebook["versions"][n - 1]
            if kept["aside"] is None:
                raise FakeProblem(409, "not-on-the-side", "Nothing to resolve")
            if take == "merge" and self.unsettled:
                members = {"unsettled": self.unsettled, "current_version": n - 1, "kept_version": n}
                raise FakeProblem(409, "merge-conflict", "Both sides changed the same", **members)
            kept["aside"] = "settled"
            if take != "theirs":
                origin = "merge" if take == "merge" else "restore"
                self.save(id, kept["content"], origin=origin, author=notebook["owner"])["merged"] = n
            current = _public(notebook)["version"]
            return _without_content(notebook["versions"][current - 1])

    def _add_sessions(self, app: FastAPI) -> None:
        @app.post("/v1/sessions", status_code=202)
        async def open_session(request: Request) -> dict[str, Any]:
            notebook = self._notebook(request, (await request.json())["notebook_id"])
            return _session_public(self.open(notebook["id"]))

        @app.get("/v1/sessions")
        async def list_sessions(request: Request, state: str = "") -> dict[str, Any]:
            assert state == "live"
            return {"items": [_session_public(s) for s in self._live(self._user(request))], "next_cursor": None}

        @app.get("/v1/sessions/{id}")
        async def get_session(request: Request, id: str) -> dict[str, Any]:
            return _session_public(self._session(request, id))

        @app.delete("/v1/sessions/{id}", status_code=202)
        async def end(request: Request, id: str) -> dict[str, Any]:
            session = self._session(request, id)
            if session["state"] not in ("ending", "ended"):
                session["state"] = "ending"
                _emit(session, "ending", {"reason": "closed", "in": 4})
                asyncio.get_running_loop().call_later(0.1, _over, session)
            return _session_public(session)

        @app.get("/v1/sessions/{id}/events")
        async def events(request: Request, id: str) -> StreamingResponse:
            return StreamingResponse(self._stream(self._session(request, id)), media_type="text/event-stream")

        @app.post("/v1/sessions/{id}/iframe-url", status_code=201)
        async def iframe_url(request: Request, id: str) -> dict[str, str]:
            self._session(request, id)
            return {"url": f"{self.frames}/frame?session={id}&host={self.origin}#ticket=t", "expires_at": _now()}

        @app.get("/frame")
        async def frame() -> HTMLResponse:
            return HTMLResponse(FRAME.read_text())

        @app.post("/frame/save")
        async def save_from_frame(request: Request, session: str) -> dict[str, Any]:
            if self.down:
                raise FakeProblem(503, "unavailable", "Unavailable")
            of = self.sessions[session]
            version = self.save(of["notebook_id"], await request.body(), origin="save", author=of["owner"])
            return {"version": version["number"], "sha256": version["sha256"]}

    async def _stream(self, session: dict[str, Any]) -> AsyncIterator[str]:
        if session["state"] == "starting":
            for percent, message in (
                (10, "Finding a seat"),
                (45, "Starting the notebook server"),
                (85, "Loading the notebook"),
            ):
                _emit(session, "progress", {"percent": percent, "message": message, "state": "starting"})
                yield session["events"][-1]
                await asyncio.sleep(self.step)
            session["state"] = "ready"
            _emit(session, "ready", {"embeddable": True, "version": 1})
            sent = len(session["events"]) - 1
        else:
            sent = 0
        while True:
            session["changed"].clear()
            for event in session["events"][sent:]:
                yield event
            sent = len(session["events"])
            if session["state"] == "ended":
                return
            await session["changed"].wait()


def _over(session: dict[str, Any]) -> None:
    session["state"] = "ended"
    _emit(session, "ended", {"reason": "closed"})


def _emit(session: dict[str, Any], event: str, data: dict[str, Any]) -> None:
    id = len(session["events"]) + 1
    session["events"].append(f"id: {id}\nevent: {event}\ndata: {json.dumps(data)}\n\n")
    session["changed"].set()


def _version(notebook: dict[str, Any], content: bytes, *, origin: str, author: str) -> dict[str, Any]:
    return {
        "number": len(notebook["versions"]) + 1,
        "parent": len(notebook["versions"]) or None,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "origin": origin,
        "author": author,
        "created_at": _now(),
        "valid": True,
        "label": None,
        "aside": None,
        "merged": None,
        "content": content,
    }


def _public(notebook: dict[str, Any]) -> dict[str, Any]:
    last = next(version for version in reversed(notebook["versions"]) if version["aside"] is None)
    shown = {k: notebook[k] for k in ("id", "name", "created_at", "updated_at")}
    return shown | {"version": last["number"], "size": last["size"], "sha256": last["sha256"]}


def _session_public(session: dict[str, Any]) -> dict[str, Any]:
    progress = {"percent": 0, "message": ""}
    shown = {k: session[k] for k in ("id", "notebook_id", "state")}
    return shown | {"progress": progress, "failure": None, "embeddable": None, "version": None}


def _without_content(version: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in version.items() if k != "content"}


def _next(items: list[Any], cursor: int, limit: int) -> str | None:
    return str(cursor + limit) if cursor + limit < len(items) else None


def _now() -> str:
    return datetime.now(UTC).isoformat()
