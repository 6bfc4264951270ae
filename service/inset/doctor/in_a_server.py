"""A running notebook server, if there is one: whether websockets reach it, and who may frame it."""

from datetime import timedelta
from urllib.parse import urlsplit

import httpx
from sqlmodel import select

from inset.db import Database
from inset.doctor.findings import Finding, error, ok, skipped, warning
from inset.errors import Upstream
from inset.hubs import Hubs
from inset.models import Host, Server, ServerState

_TOKEN_LIFETIME = timedelta(minutes=1)
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "aW5zZXQncyBkb2N0b3IhIQ==",
}
_NONE_RUNS = "not checked: no notebook server is running. Open a notebook, and ask again."


class RunningServer:
    """Looks at one server that runs anyway, of any host application or of one. It never starts one."""

    def __init__(self, database: Database, http: httpx.AsyncClient, hubs: Hubs) -> None:
        self._database = database
        self._http = http
        self._hubs = hubs

    async def websocket(self, host_id: str | None) -> list[Finding]:
        """Does a websocket come through the proxy? Without one a kernel stays silent, while all else works."""
        server, _ = await self._any(host_id)
        if server is None:
            return [skipped("websocket", f"Websockets were {_NONE_RUNS}")]
        try:
            token = await self._hubs.called_for(server).mint(
                server.seat, lifetime=_TOKEN_LIFETIME, note="inset: doctor"
            )
            headers = {**_UPGRADE, "Authorization": f"token {token}"}
            status = await self._status(server, "api/events/subscribe", headers)
        except (Upstream, httpx.HTTPError):
            return [_silent(server)]
        if status != 101:
            told = f"A websocket to the server in {server.seat} was answered {status} in place of being opened."
            fix = (
                "Let every proxy before INSET_HUB__PROXY_URL pass on upgrades (nginx: `proxy_http_version 1.1`, "
                "`proxy_set_header Upgrade $http_upgrade` and `Connection`)."
            )
            return [error("websocket-blocked", told, fix)]
        return [ok("websocket", f"A websocket to the server in {server.seat} opens.")]

    async def framing(self, host_id: str | None) -> list[Finding]:
        """Does the server let its host's pages frame it, and nobody else's?"""
        server, origins = await self._any(host_id)
        if server is None:
            return [skipped("framing", f"Framing was {_NONE_RUNS}")]
        try:
            answer = await self._http.get(self._address(server, "inset/enter"), headers=_host(server))
        except (Upstream, httpx.HTTPError):
            return [_silent(server)]
        if answer.status_code != 200:
            told = f"The server in {server.seat} has no entry page, so no frame can show it."
            fix = "Let INSET_SINGLEUSER_CMD at the hub start the save bridge: `python -m inset_bridge`."
            return [warning("no-bridge", told, fix)]
        ancestors = _ancestors(answer.headers.get_list("Content-Security-Policy"))
        refused = [origin for origin in origins if ancestors is not None and origin not in ancestors]
        if refused or "X-Frame-Options" in answer.headers:
            kept_out = " and ".join(refused) or "pages of other origins"
            told = f"The server in {server.seat} does not let {kept_out} frame it."
            fix = (
                "Origins are fixed when a server starts: end this host's sessions after `inset hosts apply`. "
                "Let no proxy before INSET_HUB__PROXY_URL add `X-Frame-Options` or `frame-ancestors`."
            )
            return [error("framing-refused", told, fix)]
        if ancestors is None or "*" in ancestors:
            told = f"Any page may frame the server in {server.seat}."
            fix = "Let no proxy before INSET_HUB__PROXY_URL take away or change `Content-Security-Policy`."
            return [error("framing-open", told, fix)]
        return [ok("framing", f"The server in {server.seat} lets its host's exact origins frame it.")]

    async def _any(self, host_id: str | None) -> tuple[Server | None, list[str]]:
        """Find a server that runs, and its host's origins as they are registered now."""
        running = select(Server).where(Server.state == ServerState.RUNNING).limit(1)
        if host_id is not None:
            running = running.where(Server.host_id == host_id)
        async with self._database.transaction(read_only=True) as db:
            server = (await db.exec(running)).first()
            return server, (await db.get_one(Host, server.host_id)).origins if server else []

    async def _status(self, server: Server, path: str, headers: dict[str, str]) -> int:
        # Streamed: an open websocket has no end to wait for.
        address = self._address(server, path)
        async with self._http.stream("GET", address, headers={**_host(server), **headers}) as answer:
            return answer.status_code

    def _address(self, server: Server, path: str) -> str:
        return f"{self._hubs.of(server).settings.proxy_url}{urlsplit(server.url or '').path}{path}"


def _silent(server: Server) -> Finding:
    told = f"The server in {server.seat} does not answer, although it should be running."
    fix = (
        "Check INSET_HUB__PROXY_URL and the hub's log; the service ends a server's sessions when the hub says it died."
    )
    return error("server-silent", told, fix)


def _host(server: Server) -> dict[str, str]:
    return {"Host": urlsplit(server.url or "").netloc}


def _ancestors(policies: list[str]) -> list[str] | None:
    """Give who may frame a page; None if nothing says so. Of several policies each must agree."""
    told = [
        directive.split()[1:]
        for policy in policies
        for directive in policy.replace(",", ";").split(";")
        if directive.strip().lower().startswith("frame-ancestors")
    ]
    return [one for one in told[0] if all(one in others for others in told)] if told else None
