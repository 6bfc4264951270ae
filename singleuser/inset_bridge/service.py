"""The service's `/bridge/v1`, as this server sees it. The only place that knows its wire."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from inset_bridge.errors import NotebookTooLarge, RefusedByService, ServiceUnavailable, VersionConflict

SILENCE = 25.0
"""Seconds after which a stream is dead: the service gives a sign of life every 15."""
_PROBLEM = "urn:inset:problem:"


@dataclass(frozen=True)
class Redeemed:
    """What a ticket was good for."""

    hub_token: str = field(repr=False)
    expires_in: float
    session_id: str
    notebook_id: str
    next: str
    """The path of the page that the frame goes on to."""


@dataclass(frozen=True)
class Stored:
    version: int
    sha256: str
    receipt: str
    """The service's signed proof; empty from a service that gives none, being older."""


@dataclass(frozen=True)
class Created:
    notebook_id: str
    version: int
    sha256: str
    receipt: str


@dataclass(frozen=True)
class Framed:
    """All sessions of this server that may have a frame, and the origins of the pages that it may be in."""

    session_ids: frozenset[str]
    origins: tuple[str, ...] | None
    """None from a service that does not tell them, being older."""


@dataclass(frozen=True)
class Over:
    """A session whose frames are to be cut, at the latest within so many seconds."""

    session_id: str
    within: float


@dataclass(frozen=True)
class CredentialsChanged:
    """Some session's data credentials are others than before."""


@dataclass(frozen=True)
class SessionCredentials:
    """What the host of a session has passed for its kernels."""

    session_id: str
    notebook_id: str
    credentials: dict[str, dict[str, Any]] = field(repr=False)
    """By name: `value`, and `expires_at` as a text or None."""


class Service:
    """Holds this server's credential, fetched when first needed and renewed before it ends or when it is refused.

    Every call raises ServiceUnavailable if it may be tried again, RefusedByService if that is no use.
    """

    def __init__(self, http: httpx.AsyncClient, *, hub_token: str, server_id: str) -> None:
        self._http = http
        self._hub_token = hub_token
        self._server_id = server_id
        self._access_token = self._call_key = ""
        self._renew_at = 0.0
        self._renewing = asyncio.Lock()

    async def call_key(self) -> str:
        """The key with which the service signs its own calls; empty of a service that signs none, being older."""
        if not self._access_token:
            await self._credential(refused="")
        return self._call_key

    async def redeem(self, ticket: str) -> Redeemed:
        body = await self._call("POST", "/bridge/v1/tickets/redeem", json={"ticket": ticket})
        with _translated():
            return Redeemed(
                hub_token=str(body["hub_token"]),
                expires_in=float(body["expires_in"]),
                session_id=str(body["session_id"]),
                notebook_id=str(body["notebook_id"]),
                next=str(body["next"]),
            )

    async def put_content(
        self, notebook_id: str, content: bytes, *, base: int, origin: str, unanswered: Sequence[str] = ()
    ) -> Stored:
        """Raises VersionConflict if `base` is no longer the newest: the content is kept then, too.

        `unanswered` are the hashes of earlier contents sent on this base, of which nobody knows whether they landed.
        """
        headers = {"Content-Type": "application/x-ipynb+json", "If-Match": f'"{base}"', "Inset-Origin": origin}
        if unanswered:
            headers["Inset-Unanswered"] = ",".join(unanswered)
        body = await self._call("PUT", f"{_notebook(notebook_id)}/content", content=content, headers=headers)
        with _translated():
            return Stored(int(body["version"]), str(body["sha256"]), str(body.get("receipt", "")))

    async def rename(self, notebook_id: str, path: str) -> None:
        """Tell where the notebook's file is now; its name follows."""
        await self._call("PATCH", _notebook(notebook_id), json={"path": path})

    async def create(self, content: bytes, *, name: str, key: str) -> Created:
        """`key` makes a repeated call one notebook."""
        headers = {
            "Content-Type": "application/x-ipynb+json",
            "Inset-Name": quote(name, safe=""),
            "Idempotency-Key": key,
        }
        body = await self._call("POST", "/bridge/v1/notebooks", content=content, headers=headers)
        with _translated():
            return Created(
                str(body["notebook_id"]), int(body["version"]), str(body["sha256"]), str(body.get("receipt", ""))
            )

    async def active(self, *, idle_for: float) -> None:
        """Tell how many seconds ago somebody last worked here."""
        await self._call("POST", "/bridge/v1/activity", json={"idle_for": idle_for})

    async def data_credentials(self) -> list[SessionCredentials]:
        """All that kernels of this server are to have."""
        sessions = await self._call("GET", "/bridge/v1/data-credentials")
        with _translated():
            return [
                SessionCredentials(
                    str(session["session_id"]),
                    str(session["notebook_id"]),
                    {
                        str(name): {"value": str(one["value"]), "expires_at": one["expires_at"]}
                        for name, one in session["credentials"].items()
                    },
                )
                for session in sessions["sessions"]
            ]

    async def control(self) -> AsyncIterator[Framed | Over | CredentialsChanged]:
        """Follow whose frames may stay and whose are to be cut, until the service ends the stream."""
        async with self._control() as answer:
            if not answer.is_success:
                await answer.aread()
                _parse(answer)
            async for event, data in _events(answer):
                with _translated():
                    if event == "sessions":
                        origins = tuple(map(str, data["origins"])) if "origins" in data else None
                        yield Framed(frozenset(map(str, data["session_ids"])), origins)
                    elif event == "over":
                        yield Over(str(data["session_id"]), float(data["within"]))
                    elif event == "credentials":
                        yield CredentialsChanged()

    @asynccontextmanager
    async def _control(self) -> AsyncIterator[httpx.Response]:
        token = await self._credential(refused="")
        patient = httpx.Timeout(30, read=SILENCE)
        for last in (False, True):
            headers = {"Authorization": f"Bearer {token}"}
            with _reached():
                async with self._http.stream("GET", "/bridge/v1/control", headers=headers, timeout=patient) as answer:
                    if answer.status_code != 401 or last:
                        yield answer
                        return
            token = await self._credential(refused=token)

    async def _call(self, method: str, path: str, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        token = await self._credential(refused="")
        answer = await self._send(method, path, token, headers, **body)
        if answer.status_code == 401:
            token = await self._credential(refused=token)
            answer = await self._send(method, path, token, headers, **body)
        return _parse(answer)

    async def _credential(self, *, refused: str) -> str:
        async with self._renewing:
            if self._access_token == refused or time.monotonic() >= self._renew_at:
                answer = await self._send(
                    "POST",
                    "/bridge/v1/credentials",
                    self._hub_token,
                    scheme="token",
                    json={"server_id": self._server_id},
                )
                body = _parse(answer)
                with _translated():
                    self._access_token, self._call_key = str(body["access_token"]), str(body.get("call_key", ""))
                    # At four fifths of its life: a call under way must not outlive it.
                    self._renew_at = time.monotonic() + 0.8 * float(body["expires_in"])
            return self._access_token

    async def _send(
        self,
        method: str,
        path: str,
        token: str,
        headers: dict[str, str] | None = None,
        *,
        scheme: str = "Bearer",
        **body: Any,
    ) -> httpx.Response:
        with _reached():
            return await self._http.request(
                method, path, headers={**(headers or {}), "Authorization": f"{scheme} {token}"}, **body
            )


@contextmanager
def _reached() -> Iterator[None]:
    """A request that comes to nothing may be tried again."""
    try:
        yield
    except httpx.RequestError as exc:
        raise ServiceUnavailable from exc


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Server-sent events, each with its data as JSON. An event that has none is a sign of life."""
    event = ""
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "data":
            with _translated():
                yield event, dict(json.loads(value))


@contextmanager
def _translated() -> Iterator[None]:
    """An answer that lacks a member comes from a broken service, to be tried again."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise ServiceUnavailable from exc


def _notebook(notebook_id: str) -> str:
    return f"/bridge/v1/notebooks/{quote(notebook_id, safe='')}"


def _parse(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code >= 500:
        raise ServiceUnavailable
    try:
        body = answer.json()
    except ValueError as exc:
        raise ServiceUnavailable from exc
    if not isinstance(body, dict):
        raise ServiceUnavailable
    if answer.is_success:
        return body
    slug = str(body.get("type", "")).removeprefix(_PROBLEM)
    if slug == "version-conflict":
        with _translated():
            raise VersionConflict(
                current_version=int(body["current_version"]),
                kept_version=int(body["kept_version"]),
                resolve=body.get("resolve"),
            )
    if slug == "notebook-too-large" or answer.status_code == 413:
        raise NotebookTooLarge
    raise RefusedByService(slug)
