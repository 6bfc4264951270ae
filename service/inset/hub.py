"""JupyterHub's REST API, as far as Inset uses it. Facts are of JupyterHub 6.1 (docs: "REST API").

Everything the hub answers is parsed into a type here, and every way in which it can fail becomes
`HubUnavailable` or `HubBusy`; none of its text goes any further.
"""

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal, Self

import httpx
from pydantic import AwareDatetime, BaseModel, ValidationError

from inset.acting import acting
from inset.errors import HubBusy, HubUnavailable, UnknownServer
from inset.metrics import HUB_SECONDS
from inset.settings import DEFAULT_HUB, DataPolicy, HubSettings
from inset.traces import Tracer


class HubServer(BaseModel):
    """A seat's server, as the hub sees it at this moment."""

    ready: bool = False
    pending: str | None = None
    full_url: str | None = None
    last_activity: AwareDatetime | None = None
    user_options: dict[str, Any] | None = None
    """None in a seat whose server was never started."""

    @property
    def server_id(self) -> str | None:
        """The id that the service gave this start of the server."""
        return (self.user_options or {}).get("server_id")


FailedBecause = Literal["spawn-failed", "policy-not-enforceable"]
_REFUSES_SECONDS = 3.0
"""For how long a hub that has refused a start is taken to have no room, if another one has."""
_PAGE = 100
"""How many servers are read at once: the hub answers nobody else meanwhile."""
_NOT_ENFORCEABLE = "policy-not-enforceable"
"""The one reason that is taken from the hub's message: its own configuration says it in this word."""
_PULLING = "Pulling image"
"""What kubelets say, of which KubeSpawner passes on every word, and our own spawner for Docker."""


class SpawnProgress(BaseModel):
    """One step of a spawn. The hub's own message is not kept: it can hold exception texts and addresses."""

    percent: int = 0
    pulling: bool = False
    """Whether the image is being fetched: the one other thing that is taken from the message, as a yes or no."""
    outcome: Literal["ready", "failed"] | None = None
    reason: FailedBecause = "spawn-failed"
    """Why it has failed, if it has."""

    full_url: str | None = None
    """The server's public address, once it is ready; a hub whose seats share one origin tells none here."""


class SpawnFailed(Exception):
    """The hub answers as it should, and the server it was to start is not there."""

    def __init__(self, reason: FailedBecause) -> None:
        super().__init__(reason)
        self.reason = reason


class HubClient:
    """Calls the hub with the service's token.

    Its scopes are `servers!group=seats`, `tokens!group=seats` and `list:users!group=seats`.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        api_url: str,
        token: str,
        timeout: timedelta | None = None,
        name: str = DEFAULT_HUB,
        tracer: Tracer | None = None,
    ) -> None:
        """`timeout` is for each call, if it is to be another one than the client's own."""
        self.away = False
        """Whether the last call had no answer, or one of a hub in trouble, or of one that does not take the token."""
        self._refused_at = float("-inf")
        self._name = name
        self._http = http
        self._timeout = timeout.total_seconds() if timeout else http.timeout
        self._api = api_url
        self._tracer = tracer or Tracer()
        self._authorization = {"Authorization": f"token {token}"}

    @classmethod
    def of(
        cls, settings: HubSettings, http: httpx.AsyncClient, *, name: str = DEFAULT_HUB, tracer: Tracer | None = None
    ) -> Self:
        """Call the hub that an operator has set."""
        return cls(
            http,
            api_url=settings.api_url,
            token=settings.token.get_secret_value(),
            timeout=settings.timeout,
            name=name,
            tracer=tracer,
        )

    @property
    def busy(self) -> bool:
        """Tell whether it has refused a start a moment ago, for it is at its limits."""
        return time.monotonic() < self._refused_at + _REFUSES_SECONDS

    async def start(
        self,
        seat: str,
        *,
        server_id: str,
        origins: Sequence[str],
        may: Sequence[str],
        data_policy: DataPolicy,
        profile: str,
        environment: Mapping[str, str] | None = None,
        ahead: bool = False,
    ) -> bool:
        """Ask for the seat's server to be started; to ask again while it starts or runs is harmless.

        One that is started `ahead`, for whoever comes, starts a kernel, too.

        False if another server than the one meant is still in the seat. Raises `HubBusy` at the hub's limits,
        and `SpawnFailed` if the hub is well and did not start it.
        """
        options = {
            "server_id": server_id,
            "origins": list(origins),
            "may": list(may),
            "data_policy": data_policy,
            "profile": profile,
            "environment": dict(environment or {}),
            **({"ahead": True} if ahead else {}),
        }
        async with self._call("POST", f"/users/{seat}/server", json={"user_options": options}) as response:
            status = response.status_code
            reason = _reason(response.text) if status == 400 else "spawn-failed"
        if status in (201, 202):
            self._refused_at = float("-inf")
            return True
        if status == 429:
            self._refused_at = time.monotonic()
            raise HubBusy
        # 400 stands for "running already", "being stopped" and "refused" alike, 500 for a spawn that failed at once
        # and for a hub in trouble: only a look tells.
        server = await self.server(seat)
        if server is None:
            raise SpawnFailed(reason)
        return server.server_id == server_id and server.pending != "stop"

    async def server(self, seat: str) -> HubServer | None:
        """Look at a seat's server; None if there is none, running or under way."""
        async with self._call("GET", f"/users/{seat}") as response:
            if response.status_code == 404:
                return None
            user = _parsed(response)
        return _server_of(user)

    async def servers(self) -> Mapping[str, HubServer]:
        """Look at the servers of all seats, running or under way, in a few calls.

        Where servers come and go meanwhile one may be left out: who is missing is to be looked up by itself. All are
        where the hub does not let its seats be listed, as by a configuration of an earlier release.
        """
        found: dict[str, HubServer] = {}
        page = {"state": "active", "limit": _PAGE, "offset": 0}
        headers = {"Accept": "application/jupyterhub-pagination+json"}
        while True:
            async with self._call("GET", "/users", headers=headers, params=page) as response:
                if response.status_code in (403, 404):
                    return {}
                told = _parsed(response)
            try:
                for user in told["items"]:
                    if server := _server_of(user):
                        found[user["name"]] = server
                rest = told["_pagination"]["next"]
                if rest is None:
                    return found
                page["offset"] = int(rest["offset"])
            except (KeyError, TypeError, ValueError) as exc:
                raise HubUnavailable from exc

    async def public_url(self, seat: str) -> str | None:
        """Give the address by which browsers reach a seat's server, whether it runs or not.

        None if the hub has no such seat; the empty string if it knows no public address.
        """
        # The server's own model: a user's leaves out those that do not run.
        async with self._call("GET", f"/users/{seat}/servers/") as response:
            if response.status_code == 404:
                return None
            server = _parsed(response)
        try:
            return HubServer.model_validate(server).full_url or ""
        except ValidationError as exc:
            raise HubUnavailable from exc

    async def progress(self, seat: str) -> AsyncIterator[SpawnProgress]:
        """Follow a spawn until it is over. Ends without an outcome where there is nothing (more) to follow."""
        # The hub sends a blank line every 8 s, so silence for longer means that it is gone.
        patient = httpx.Timeout(5, read=20)
        async with self._call("GET", f"/users/{seat}/server/progress", timeout=patient) as response:
            if response.status_code in (400, 404):
                return
            if response.status_code != 200:
                raise HubUnavailable
            async for line in response.aiter_lines():
                if line.startswith("data:") and (step := _progress(line.removeprefix("data:"))):
                    yield step

    async def stop(self, seat: str) -> bool:
        """Ask for the seat's server to be stopped; tells whether it has stopped already."""
        async with self._call("DELETE", f"/users/{seat}/server") as response:
            # 400: it is neither running nor in a state in which it can be stopped now.
            if response.status_code not in (202, 204, 400):
                raise HubUnavailable
            return response.status_code == 204

    async def leftover(self, seat: str) -> str | None:
        """Give the id of a server that is in the seat though the hub does not know it: empty if it says none.

        None if there is no such server, or the hub can't tell.
        """
        async with self._call("GET", f"/users/{seat}/leftover") as response:
            if response.status_code == 404:
                return None
            return str(_parsed(response).get("server_id", ""))

    async def remove_leftover(self, seat: str) -> None:
        """Ask for such a server to be stopped, as every server is."""
        async with self._call("DELETE", f"/users/{seat}/leftover") as response:
            if response.status_code not in (202, 404):
                raise HubUnavailable

    async def mint(self, seat: str, *, lifetime: timedelta, note: str) -> str:
        """Make a token that opens this seat's server and nothing else, for a bounded time."""
        wish = {"scopes": [f"access:servers!server={seat}/"], "expires_in": int(lifetime.total_seconds()), "note": note}
        async with self._call("POST", f"/users/{seat}/tokens", json=wish) as response:
            token = _parsed(response, ok=201).get("token")
        if not isinstance(token, str):
            raise HubUnavailable
        return token

    async def revoke_tokens(self, seat: str, *, note: str | None = None) -> None:
        """Delete every token that opens this seat's server, or those alone that were made with this note.

        A seat outlives its server, and so would they.
        """
        for token in await self._tokens(seat):
            if note not in (None, token.get("note")):
                continue
            async with self._call("DELETE", f"/users/{seat}/tokens/{token['id']}") as response:
                if response.status_code not in (204, 404):
                    raise HubUnavailable

    async def has_tokens(self, seat: str) -> bool:
        """Tell whether any token opens this seat's server."""
        return bool(await self._tokens(seat))

    async def seat_of(self, token: str) -> str:
        """Say which seat's server holds this token. Raises `UnknownServer` for any other token."""
        if not token.isascii():
            raise UnknownServer
        authorization = {"Authorization": f"token {token}"}
        async with self._call("GET", "/user", headers=authorization) as response:
            if response.status_code in (401, 403):
                raise UnknownServer
            owner = _parsed(response)
        opened = [scope for scope in owner.get("scopes", []) if scope.startswith("access:servers")]
        if opened != [f"access:servers!server={owner.get('name')}/"]:
            raise UnknownServer
        return str(owner["name"])

    async def accepts_token(self) -> bool:
        """Ask the hub for a sign of life, and whether it takes the service's token. Raises `HubUnavailable`."""
        async with self._call("GET", "/user") as response:
            if response.status_code in (401, 403):
                return False
            _parsed(response)
        return True

    async def version(self) -> str:
        """Give the version that it says it is. Raises `HubUnavailable`."""
        async with self._call("GET", "/") as response:
            return str(_parsed(response).get("version", "unknown"))[:20]

    async def _tokens(self, seat: str) -> list[dict[str, Any]]:
        async with self._call("GET", f"/users/{seat}/tokens") as response:
            if response.status_code == 404:
                return []
            tokens: list[dict[str, Any]] = _parsed(response).get("api_tokens", [])
            return tokens

    @asynccontextmanager
    async def _call(self, method: str, path: str, **options: Any) -> AsyncIterator[httpx.Response]:
        ours = "headers" not in options
        headers = {**self._authorization, **options.pop("headers", {})}
        options = {"timeout": self._timeout, **options}
        call, began, outcome = f"{method} {_template(path)}", time.perf_counter(), "left"
        try:
            with self._tracer.span(call, kind="client") as span:
                if trace := acting().traceparent:
                    headers["traceparent"] = trace
                async with self._http.stream(method, self._api + path, headers=headers, **options) as response:
                    if "event-stream" not in response.headers.get("Content-Type", ""):
                        await response.aread()
                    outcome = _outcome(response.status_code)
                    self.away = outcome == "error" or (ours and response.status_code in (401, 403))
                    HUB_SECONDS.labels(call, outcome, self._name).observe(time.perf_counter() - began)
                    span.name(call, status=response.status_code)
                    yield response
        except httpx.HTTPError as exc:
            outcome = "unreachable" if outcome == "left" else outcome
            self.away = True
            raise HubUnavailable from exc
        finally:
            # What was answered is noted already: a stream goes on for long after.
            if outcome in ("left", "unreachable"):
                HUB_SECONDS.labels(call, outcome, self._name).observe(time.perf_counter() - began)


def _template(path: str) -> str:
    """Name a call without the seat and the token that it is about."""
    match path.split("/"):
        case ["", "users", _, "tokens", _]:
            return "/users/{seat}/tokens/{id}"
        case ["", "users", _, *rest]:
            return "/".join(["/users/{seat}", *rest])
    return path


def _outcome(status: int) -> str:
    if status == 429:
        return "busy"
    return "error" if status >= 500 else "refused" if status >= 400 else "ok"


def _parsed(response: httpx.Response, *, ok: int = 200) -> dict[str, Any]:
    if response.status_code == 429:
        raise HubBusy
    if response.status_code != ok:
        raise HubUnavailable
    try:
        parsed = response.json()
    except ValueError as exc:
        raise HubUnavailable from exc
    if not isinstance(parsed, dict):
        raise HubUnavailable
    return parsed


def _server_of(user: dict[str, Any]) -> HubServer | None:
    try:
        servers = {name: HubServer.model_validate(server) for name, server in user["servers"].items()}
    except (AttributeError, KeyError, TypeError, ValidationError) as exc:
        raise HubUnavailable from exc
    server = servers.get("")
    return server if server and (server.ready or server.pending) else None


def _reason(message: str) -> FailedBecause:
    return "policy-not-enforceable" if _NOT_ENFORCEABLE in message else "spawn-failed"


def _progress(data: str) -> SpawnProgress | None:
    try:
        event = json.loads(data)
        outcome: Literal["ready", "failed"] | None = (
            "ready" if event.get("ready") else "failed" if event.get("failed") else None
        )
        if "progress" not in event:
            return None  # a word about how long it takes, and nothing about what it does
        message, url = str(event.get("message", "")), str(event.get("url", ""))
        return SpawnProgress(
            percent=int(event["progress"]),
            pulling=_PULLING in message,
            outcome=outcome,
            reason=_reason(message),
            full_url=url if outcome == "ready" and "://" in url else None,
        )
    except (AttributeError, TypeError, ValueError) as exc:
        raise HubUnavailable from exc
