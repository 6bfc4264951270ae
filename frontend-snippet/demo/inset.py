"""Inset's API as this backend uses it, on behalf of one user at a time."""

import asyncio
import json
import time
from typing import Any

import httpx

from .problems import Problem
from .tokens import Tokens

CLOSING_SECONDS = 30


class Inset:
    """Create, rename, show, delete and bring back notebooks."""

    def __init__(self, http: httpx.AsyncClient, tokens: Tokens) -> None:
        self._http = http
        self._tokens = tokens

    async def create(self, user: str, name: str, *, content: dict[str, Any] | None) -> str:
        """Create a notebook, empty without `content`, and give its id."""
        body = {"name": name} | ({"content": content} if content else {})
        answer = await self._call(user, "POST", "/v1/notebooks", body)
        return str(answer["id"])

    async def rename(self, user: str, notebook_id: str, name: str) -> None:
        await self._call(user, "PATCH", f"/v1/notebooks/{notebook_id}", {"name": name})

    async def delete(self, user: str, notebook_id: str) -> None:
        """Delete a notebook, saving and closing it first if it is open; Inset keeps it for a while."""
        for session in await self._live_sessions(user):
            if session["notebook_id"] == notebook_id:
                await self._end(user, session["id"], wait=CLOSING_SECONDS)
        await self._call(user, "DELETE", f"/v1/notebooks/{notebook_id}")

    async def undelete(self, user: str, notebook_id: str) -> None:
        await self._call(user, "POST", f"/v1/notebooks/{notebook_id}/undelete")

    async def preview(self, user: str, notebook_id: str, *, known: str | None) -> httpx.Response:
        """Ask for the last saved version as a page; `known` is the `ETag` of the one that the browser has."""
        headers = {"If-None-Match": known} if known else {}
        return await self._send(user, "GET", f"/v1/notebooks/{notebook_id}/preview", headers=headers)

    async def end_sessions(self, user: str) -> None:
        """Save and close everything the user has open."""
        for session in await self._live_sessions(user):
            await self._end(user, session["id"])

    async def _live_sessions(self, user: str) -> list[dict[str, Any]]:
        answer = await self._call(user, "GET", "/v1/sessions?state=live")
        return list(answer["items"])

    async def _end(self, user: str, session_id: str, *, wait: float = 0) -> None:
        """Ask for a session's end; with `wait`, see it over within so many seconds."""
        session = await self._call(user, "DELETE", f"/v1/sessions/{session_id}")
        until = time.monotonic() + wait
        while wait and session["state"] not in ("ended", "failed"):
            if time.monotonic() > until:
                raise Problem("The notebook is still being closed", "Please try again in a moment.", status=409)
            await asyncio.sleep(0.2)
            session = await self._call(user, "GET", f"/v1/sessions/{session_id}")

    async def _call(self, user: str, method: str, path: str, body: Any = None) -> Any:
        response = await self._send(user, method, path, json=body)
        return response.json() if response.content else None

    async def _send(
        self, user: str, method: str, path: str, *, json: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {self._tokens.for_backend(user)}"}
        try:
            response = await self._http.request(method, path, json=json, headers={**(headers or {}), **bearer})
        except httpx.HTTPError as exc:
            raise Problem("The notebook service can't be reached", "Please try again in a moment.", status=502) from exc
        if response.is_error:
            raise _problem(response)
        return response


def _problem(response: httpx.Response) -> Problem:
    # A refused JWT is this host's fault, not the user's: to the browser it is a bad gateway like a 500.
    status = response.status_code if 403 < response.status_code < 500 else 502
    try:
        problem = response.json()
        return Problem(str(problem["title"]), str(problem.get("detail", "")), status=status)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        return Problem("The notebook service answered unexpectedly", f"Status {response.status_code}.", status=502)
