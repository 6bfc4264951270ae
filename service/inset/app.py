"""Opening, wiring, closing."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from inset import __version__
from inset.callers import CallerReader
from inset.calls import CallKeys
from inset.control import Control
from inset.db import open_database
from inset.departure import Departure
from inset.deps import State
from inset.doctor import Doctor
from inset.documents import nbformat_loaded
from inset.driver import Driver
from inset.encryption import encryption_of
from inset.events import EventFeed
from inset.gauges import Gauges
from inset.hubs import Hubs
from inset.jwks import JwksCache
from inset.middleware import BodyLimit, HostOrigins, Unforeseen
from inset.observing import Observed
from inset.pool import Pool
from inset.preview import Previews
from inset.problems import install_problem_handlers
from inset.profiles import read_profiles
from inset.queue import Queue
from inset.readiness import Readiness
from inset.receipts import Receipts
from inset.recent import RecentDocuments
from inset.route_table import RouteTable
from inset.routes import audit, bridge, edge, notebooks, operations, previews, sessions, users, versions
from inset.routes import webhooks as webhook_routes
from inset.seals import Seal
from inset.servers import ServerDialler
from inset.settings import Settings
from inset.signing import Signer
from inset.steps import Steps
from inset.traces import Tracer, otlp_tracer
from inset.upkeep import Upkeep
from inset.vault import Vault
from inset.webhooks import PURPOSE, Poster, Webhooks

_DESCRIPTION = """
Sets live Jupyter notebooks into your web application.

1. Your backend signs a short JWT for its user.
2. `POST /v1/notebooks` makes a notebook, `POST /v1/sessions` opens it; its event stream tells when it is `ready`.
3. `POST /v1/sessions/{id}/iframe-url` gives the URL that your page sets its iframe to.
4. Every save that Jupyter makes becomes a version here; `POST /v1/sessions/{id}/save` makes one now.

Errors are RFC 9457 problems; branch on `type`, which is `urn:inset:problem:<name>`.
"""


def create_app(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    departure: Departure | None = None,
    tracer: Tracer | None = None,
    trusted: ssl.SSLContext | None = None,
) -> FastAPI:
    """Build the service. `transport` replaces the wire to the hub and its servers, `tracer` the one of the settings,
    `trusted` what TLS trusts by its environment.

    Whoever stops it says so by `departure` first.
    """
    departure = departure or Departure()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(
                open_database(
                    settings.database_url,
                    settings.database,
                    encryption=encryption_of(settings),
                    recent=RecentDocuments(settings.recent_documents),
                )
            )
            tls = trusted or httpx.create_ssl_context()  # one for all, for it takes 20 ms
            # The hub's proxy drops connections that idle for about six seconds.
            limits = httpx.Limits(max_connections=200, keepalive_expiry=4)
            http = await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=transport,
                    verify=tls,
                    limits=limits,
                    timeout=settings.hub.timeout.total_seconds(),
                    # Servers are their users'. A cookie that one sets must reach neither the hub nor another server.
                    cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                )
            )
            # Not the hub's client: hosts' addresses get no connection of its, and nothing that it sends.
            jwks = JwksCache(await stack.enter_async_context(httpx.AsyncClient(verify=tls)))
            traced = tracer or (otlp_tracer(settings.otlp_endpoint) if settings.otlp_endpoint else Tracer())
            stack.push_async_callback(traced.aclose)
            hubs = Hubs(settings.every_hub, http, traced)
            signing_pem = settings.signing_key_file.read_bytes()
            call_keys = CallKeys(signing_pem)
            servers = ServerDialler(http, hubs, call_keys)
            feed = EventFeed(database)
            profiles = read_profiles(
                settings.profiles_file, idle_timeout=settings.idle_timeout, max_age=settings.max_age
            )
            queue = Queue(
                database,
                feed,
                profiles,
                hubs,
                longest_wait=settings.queue_timeout,
                length=settings.queue_length,
            )
            steps = Steps(
                database,
                hubs,
                servers,
                queue,
                start_timeout=settings.start_timeout,
                queue_timeout=settings.queue_timeout,
                allow_shared_origin=settings.allow_shared_origin,
            )
            upkeep = Upkeep(
                database,
                hubs,
                check_interval=settings.check_interval,
                profiles=profiles,
                longest_token=settings.token_max_lifetime + 2 * settings.clock_skew,
                audit_kept_for=settings.audit_kept_for,
                webhooks_kept_for=settings.webhooks.kept_for,
            )
            pool = Pool(
                database,
                hubs,
                profiles,
                queue,
                settings.pool,
                data_policy=settings.data_policy,
                check_interval=settings.check_interval,
                start_timeout=settings.start_timeout,
            )
            driver = Driver(database, steps, queue)
            signer = Signer(signing_pem)
            receipts = Receipts(signer, issuer=settings.public_url)
            webhooks = Webhooks(
                database,
                await stack.enter_async_context(Poster.opened(settings.webhooks, tls)),
                receipts.sign,
                seal=Seal(signing_pem, purpose=PURPOSE),
                settings=settings.webhooks,
            )
            state = State(
                settings=settings,
                database=database,
                hubs=hubs,
                servers=servers,
                signer=signer,
                call_keys=call_keys,
                receipts=receipts,
                callers=CallerReader(
                    jwks,
                    audience=settings.public_url,
                    max_lifetime=settings.token_max_lifetime,
                    skew=settings.clock_skew,
                    data_policy=settings.data_policy,
                ),
                driver=driver,
                feed=feed,
                control=Control(database, feed),
                doctor=Doctor(settings, database, http),
                profiles=profiles,
                vault=Vault(signing_pem),
                queue=queue,
                previews=await stack.enter_async_context(Previews.opened(render_within=settings.preview_timeout)),
                readiness=Readiness(database, hubs, driver, departure),
                gauges=Gauges(database, driver, hubs),
                tracer=traced,
            )
            await stack.enter_async_context(_running(driver.run()))
            await stack.enter_async_context(_running(hubs.watch()))
            await stack.enter_async_context(_running(upkeep.run()))
            await stack.enter_async_context(_running(pool.run()))
            await stack.enter_async_context(_running(webhooks.run()))
            await stack.enter_async_context(_running(feed.watch()))
            await stack.enter_async_context(_running(feed.end_when(departure.closing)))
            await stack.enter_async_context(_running(state["control"].watch()))
            await stack.enter_async_context(_running(_load_what_documents_need()))
            yield state

    # The manual's scripts come from here, not from somebody's CDN.
    app = FastAPIOffline(
        title="Inset",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        # FastAPI's own, which would look for a provider with each request: traces and metrics are made here.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        openapi_tags=[
            {"name": "notebooks", "description": "Stored documents, their versions and their history."},
            {"name": "sessions", "description": "Notebooks open in a running server."},
            {"name": "webhooks", "description": "What the host application's back end was told."},
            {"name": "users", "description": "What a host's backend says about its users."},
            {"name": "operations", "description": "For those who run the service."},
            {"name": "save bridge", "description": "For the notebook servers; not for hosts."},
        ],
    )
    install_problem_handlers(app)
    app.add_middleware(BodyLimit, limit=settings.notebook_limit)
    app.add_middleware(Unforeseen)
    app.add_middleware(HostOrigins)
    app.add_middleware(Observed)
    for router in (
        notebooks.router,
        versions.router,
        previews.router,
        audit.router,
        webhook_routes.router,
        sessions.router,
        users.router,
        sessions.reading,
        sessions.streams,
        bridge.router,
        edge.router,
        operations.router,
    ):
        app.router.routes.extend(router.routes)
    app.router.routes.insert(0, RouteTable(app.router.routes))
    return app


async def _load_what_documents_need() -> None:
    # Not at once: the first requests would wait for the thread that imports.
    await asyncio.sleep(1)
    await nbformat_loaded()


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
