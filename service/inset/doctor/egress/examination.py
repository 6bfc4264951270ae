"""The examination itself: two restricted servers side by side, what a kernel reaches, and what a browser is given."""

from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from sqlmodel import select

from inset.db import Database
from inset.doctor.egress import from_a_browser, from_a_kernel
from inset.doctor.egress.browser import Browser
from inset.doctor.egress.from_a_kernel import Outside
from inset.doctor.egress.kernel import Kernel
from inset.doctor.egress.trials import Trial, trials
from inset.doctor.findings import Finding, error
from inset.hubs import Hubs
from inset.models import Host, Server
from inset.models.data_policy import stricter
from inset.settings import Settings
from inset.signing import Signer

_TOKEN_LIFETIME = timedelta(minutes=5)
_BROWSER_SECONDS = 30


async def examine(settings: Settings, database: Database, *, host_id: str | None, outside: Outside) -> list[Finding]:
    """Start two restricted servers, try everything, end them. The service has to run: it drives their sessions.

    Raises `LookupError` if there is no such host application, or none whose data is restricted; `Upstream` if the hub
    does not answer.
    """
    host = await _restricted(settings, database, host_id)
    if settings.edge_token is None:
        fix = "Put an edge in front (deploy/edge/README.md), and let INSET_EDGE_TOKEN be its secret."
        told = "No edge stands in front: notebooks of restricted data do not open at all."
        return [error("egress-no-edge", told, fix)]
    # Whatever a server sets: a browser's cookies are kept by `Browser`, and nobody else's.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    async with (
        httpx.AsyncClient(timeout=settings.hub.timeout.total_seconds(), cookies=no_cookies) as http,
        # An address inside, of the operator's own: whether its certificate is right, `inset doctor` says.
        httpx.AsyncClient(
            timeout=_BROWSER_SECONDS, verify=settings.edge_address is None, cookies=no_cookies
        ) as by_edge,
        trials(database, host, count=2, within_time=settings.start_timeout) as (first, second),
    ):
        if first.server is None or not first.ready:
            return [_not_started(first)]
        hubs = Hubs(settings.every_hub, http)
        kernel = await _kernel(hubs, http, first.server, first)
        neighbour = await _kernel(hubs, http, second.server, second) if second.server and second.ready else None
        seen = await from_a_kernel.look(settings.with_only(first.server.hub), outside, kernel, neighbour)
        ticket = _ticket(settings, first.session.id, first.server.id)
        browser = Browser(first.server.url or "", settings.edge_address, by_edge)
        return [*seen.findings, *await from_a_browser.look(browser, ticket, first, token=seen.token)]


async def _restricted(settings: Settings, database: Database, host_id: str | None) -> Host:
    async with database.transaction(read_only=True) as db:
        hosts = (await db.exec(select(Host).order_by("id"))).all()
    for host in hosts:
        registered = bool(host.origins) and host_id in (None, host.id)
        if registered and stricter(settings.data_policy, host.data_policy) == "restricted":
            return host
    named = f"{host_id} is no host application whose data is" if host_id else "no host application's data is"
    raise LookupError(f"{named} restricted: set `data_policy` in its registration, or INSET_DATA_POLICY for all")


async def _kernel(hubs: Hubs, http: httpx.AsyncClient, server: Server, trial: Trial) -> Kernel:
    hub = hubs.of(server)
    token = await hub.client.mint(server.seat, lifetime=_TOKEN_LIFETIME, note="inset: doctor")
    return Kernel(http, dial=hub.settings.proxy_url, server=server, token=token, path=str(trial.session.path))


def _ticket(settings: Settings, session_id: str, server_id: str) -> str:
    signer = Signer(settings.signing_key_file.read_bytes())
    ticket, _ = signer.ticket(
        server_id=server_id, session_id=session_id, interface="notebook", lifetime=settings.ticket_lifetime
    )
    return ticket


def _not_started(trial: Trial) -> Finding:
    told = f"A restricted server did not start ({trial.why_not}), so nothing could be tried."
    fix = (
        "`policy-not-enforceable`: at the hub, INSET_SPAWNER=docker and INSET_DOCKER_RESTRICTED_REACH. `queued`: a "
        "service has to run, and a seat be free. All else stands in the hub's log."
    )
    return error("egress-not-started", told, fix)
