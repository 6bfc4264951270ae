"""What routes ask for, by type."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.acting import acting
from inset.audit import record
from inset.bridges import Bridge, calling_server
from inset.callers import Caller, CallerReader
from inset.calls import CallKeys
from inset.control import Control
from inset.db import Database
from inset.doctor import Doctor
from inset.driver import Driver
from inset.errors import BackendOnly, OriginNotAllowed, TokenMissing, UnknownServer
from inset.events import EventFeed
from inset.gauges import Gauges
from inset.hubs import Hubs
from inset.models import Action, Capability, Server, Session
from inset.notebooks import Notebooks
from inset.once import Once
from inset.preview import Previews
from inset.profiles import Profiles
from inset.queue import Queue
from inset.rates import count_call
from inset.readiness import Readiness
from inset.receipts import Receipts
from inset.servers import ServerDialler
from inset.sessions import Sessions
from inset.settings import Settings
from inset.signing import BridgeCredential, Signer
from inset.traces import Tracer
from inset.vault import Vault


@dataclass(frozen=True)
class Call:
    """What is known of a host's call once its caller is: FastAPI walks all that a dependency depends on, each time."""

    db: AsyncSession
    caller: Caller
    state: "State"


_CALL = "inset.call"


def _call(request: Request) -> Call:
    """Give what `get_caller` has found, which stands before every route of the hosts' (`app.py`)."""
    call: Call = request.scope[_CALL]
    return call


class State(TypedDict):
    """What the app's lifespan opens, and hands to every request."""

    settings: Settings
    database: Database
    hubs: Hubs
    servers: ServerDialler
    signer: Signer
    call_keys: CallKeys
    receipts: Receipts
    callers: CallerReader
    driver: Driver
    feed: EventFeed
    control: Control
    doctor: Doctor
    previews: Previews
    readiness: Readiness
    gauges: Gauges
    tracer: Tracer
    profiles: Profiles
    vault: Vault
    queue: Queue


async def get_state(request: Request) -> State:
    """Give what the lifespan opened."""
    return state_of(request)


def state_of(request: Request) -> State:
    """Give the same to what every request asks for: FastAPI takes longer for a dependency than this does."""
    state: State = request.scope["state"]
    return state


StateDep = Annotated[State, Depends(get_state)]


def _only_reads(request: Request) -> bool:
    return request.method in ("GET", "HEAD")


async def get_db(request: Request) -> AsyncIterator[AsyncSession]:
    """Open the request's one transaction; it is committed before the answer leaves, unless the route raised."""
    async with state_of(request)["database"].transaction(read_only=_only_reads(request)) as db:
        yield db


DbDep = Annotated[AsyncSession, Depends(get_db, scope="function")]


async def _wake_driver(request: Request, state: StateDep) -> AsyncIterator[None]:
    """Have done at once what a route leaves to the driver. Entered before the request's transaction, left after it."""
    yield
    if not _only_reads(request):
        state["driver"].wake()


WAKES_DRIVER = Depends(_wake_driver, scope="function")
"""Stands before whatever else a router depends on."""


_host_jwt = HTTPBearer(
    auto_error=False,
    scheme_name="Host JWT",
    bearerFormat="JWT",
    description=(
        "A JWT that the host application signs for one of its users: `iss` the host application's id, "
        "`aud` this service's public URL, `sub` the user, `exp` at most ten minutes ahead; header `kid` names the key. "
        "A host's backend signs with `sub` = `iss` and names the user in `act_for`."
    ),
)
_bridge_credential = HTTPBearer(auto_error=False, scheme_name="Bridge credential")


async def get_caller(
    request: Request, db: DbDep, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_host_jwt)]
) -> Caller:
    """Find out who calls, and refuse a browser page whose origin the caller's host has not registered."""
    if bearer is None:
        raise TokenMissing
    state = state_of(request)
    # A writing transaction must not be open while a body arrives slowly, nor for somebody whom nobody knows yet.
    caller = await state["callers"].read(db if _only_reads(request) else state["database"], bearer.credentials)
    present = acting()
    present.actor, present.host_id, present.user = "backend" if caller.backend else "user", caller.host_id, caller.user
    origin = request.headers.get("Origin")
    if origin and origin not in (*caller.origins, state["settings"].public_url):
        raise OriginNotAllowed
    request.scope[_CALL] = Call(db, caller, state)
    return caller


CALLED = Depends(get_caller, scope="function")
CallerDep = Annotated[Caller, CALLED]


async def _end_reading(request: Request, caller: CallerDep) -> None:
    """End the request's transaction, in which its caller was found."""
    await _call(request).db.commit()


TAKES_ITS_TIME = Depends(_end_reading, scope="function")
"""Stands at a route that goes on for long without the database: no connection is held for it."""


async def get_backend(caller: CallerDep) -> Caller:
    """Give the caller if it is a host's own backend."""
    if not caller.backend:
        raise BackendOnly
    return caller


BackendDep = Annotated[Caller, Depends(get_backend, scope="function")]


def needs(capability: Capability) -> Any:
    """Have a route refuse users who may not do this."""

    async def check(request: Request) -> None:
        _call(request).caller.require(capability)

    return Depends(check, scope="function")


async def count(request: Request) -> None:
    """Count the call against its user's rate, before anything is done for it; costs nothing where there is no limit."""
    call = _call(request)
    if most := call.caller.limits.requests_per_minute:
        await call.db.commit()  # one connection at a time
        async with call.state["database"].transaction() as db:
            await count_call(db, call.caller.host_id, call.caller.user, most=most)


async def get_notebooks(request: Request) -> Notebooks:
    """Give the caller's notebooks."""
    call = _call(request)
    return notebooks_of(call.caller, call.db, call.state)


def notebooks_of(caller: Caller, db: AsyncSession, state: State) -> Notebooks:
    """Give a caller's notebooks in a transaction: the request's, or one of its own."""
    settings = state["settings"]
    limit = min(settings.notebook_limit, caller.limits.notebook_size or settings.notebook_limit)
    return Notebooks(db, caller, state["receipts"], limit=limit, undelete_for=settings.undelete_for)


NotebooksDep = Annotated[Notebooks, Depends(get_notebooks)]


async def get_sessions(request: Request) -> Sessions:
    """Give the caller's sessions."""
    call = _call(request)
    db, caller, state = call.db, call.caller, call.state
    return Sessions(
        db,
        caller,
        notebooks_of(caller, db, state),
        state["servers"],
        state["signer"],
        state["profiles"],
        state["vault"],
        state["queue"],
        behind_edge=state["settings"].edge_token is not None,
        assets_url=state["settings"].assets_url,
    )


async def note_reading(state: State, caller: Caller, action: Action, notebook_id: str, **facts: int) -> None:
    """Record what a caller is about to read, or raise `DatabaseUnavailable`: nothing is read that is not recorded."""
    async with state["database"].transaction(durable=False) as db:
        record(db, action, host_id=caller.host_id, user=caller.user, notebook_id=notebook_id, facts=facts)


class Reading:
    """Records what a caller reads, for which a reading transaction is not enough."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def note(self, action: Action, notebook_id: str, **facts: int) -> None:
        """Record it before the answer is given. Raises `DatabaseUnavailable`."""
        await self._call.db.commit()  # one connection at a time
        await note_reading(self._call.state, self._call.caller, action, notebook_id, **facts)


async def get_reading(request: Request) -> Reading:
    """Give what records the caller's reading."""
    return Reading(_call(request))


ReadingDep = Annotated[Reading, Depends(get_reading)]


SessionsDep = Annotated[Sessions, Depends(get_sessions)]


async def get_followed(id: str, sessions: SessionsDep) -> Session:
    """Find the session of an event stream, in a transaction that is over before the stream begins."""
    return await sessions.find(id)


FollowedDep = Annotated[Session, Depends(get_followed, scope="function")]


_IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description=(
            "A name of your own for this request. Sent again within 24 hours, "
            "it gets the same answer and nothing is made twice."
        ),
        examples=["6f1d2c0e-analysis-42"],
    ),
]


async def get_once(request: Request, key: _IdempotencyKey = None) -> Once:
    """Give what makes a creating route safe to call again."""
    db, caller = _call(request).db, _call(request).caller
    return Once(db, f"{caller.host_id}\n{caller.user}", route=f"{request.method} {request.url.path}", key=key)


OnceDep = Annotated[Once, Depends(get_once)]


async def get_credential(
    state: StateDep, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bridge_credential)]
) -> BridgeCredential:
    """Verify what a bridge shows."""
    if bearer is None:
        raise UnknownServer
    return state["signer"].read_credential(bearer.credentials)


CredentialDep = Annotated[BridgeCredential, Depends(get_credential)]


async def get_calling_server(state: StateDep, credential: CredentialDep) -> Server:
    """Find the server whose bridge calls, in a transaction of its own as for a host's caller."""
    async with state["database"].transaction(read_only=True) as db:
        server = await calling_server(db, credential.server_id)
    present = acting()
    present.actor, present.host_id, present.user = "server", server.host_id, server.owner
    return server


CallingServerDep = Annotated[Server, Depends(get_calling_server, scope="function")]


async def get_bridge(db: DbDep, server: CallingServerDep, state: StateDep) -> Bridge:
    """Give the bridge that calls."""
    return Bridge(db, server, state["receipts"])


BridgeDep = Annotated[Bridge, Depends(get_bridge)]


async def get_bridge_once(request: Request, db: DbDep, server: CallingServerDep, key: _IdempotencyKey = None) -> Once:
    """Give what makes a bridge's creating call safe to send again."""
    return Once(db, server.id, route=f"{request.method} {request.url.path}", key=key)


BridgeOnceDep = Annotated[Once, Depends(get_bridge_once)]

CursorDep = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")]
LimitDep = Annotated[int, Query(ge=1, le=200, description="How many items a page has at the most.")]
