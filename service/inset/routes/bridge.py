"""`/bridge/v1`: what the save bridges inside notebook servers call. No host has anything to do here."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Self
from urllib.parse import unquote

from fastapi import Header, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field, field_validator

from inset.bridges import Credential, Entry, credential_for
from inset.control import CredentialsChanged, Framed, Over
from inset.deps import BridgeDep, BridgeOnceDep, CallingServerDep, CredentialDep, DbDep, StateDep
from inset.documents import document_from_jupyter
from inset.errors import (
    BaseVersionRequired,
    HubBusy,
    HubUnavailable,
    InvalidRequest,
    KeyReused,
    NotAllowed,
    NotebookNotFound,
    NotebookTooLarge,
    RequestUnderWay,
    SessionOver,
    TicketExpired,
    TicketForAnotherServer,
    TicketInvalid,
    TicketUsed,
    UnknownServer,
    VersionConflict,
    VersionNotFound,
)
from inset.models import DataCredential, Origin
from inset.problems import responses
from inset.receiving import accepted, received
from inset.routers import plain_router
from inset.routes.content import base_version

router = plain_router("/bridge/v1", tag="save bridge")


_EVENTS: dict[type[BaseModel], str] = {Framed: "sessions", Over: "over", CredentialsChanged: "credentials"}
_RENEWED_BEFORE = timedelta(seconds=1)
"""A stream ends so long before its credential does."""
_HASHES = "^([0-9a-f]{64}(,[0-9a-f]{64}){0,99})?$"
_FILE = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}}


class CredentialCreate(BaseModel):
    """Which server asks."""

    server_id: str = Field(max_length=64)


class TicketRedeem(BaseModel):
    """What the frame's URL carried."""

    ticket: str = Field(max_length=4096)


class FileRenamed(BaseModel):
    """Where a notebook's file now lies; its name, without the suffix, is the notebook's."""

    path: str = Field(min_length=1, max_length=1024)

    @field_validator("path")
    @classmethod
    def _within(cls, path: str) -> str:
        if "\0" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise ValueError("must be a path within the server's folder")
        return path


class ActivityTold(BaseModel):
    """How many seconds ago somebody last worked in a server."""

    idle_for: float = Field(ge=0, le=10**9, allow_inf_nan=False)


class KernelCredential(BaseModel):
    """A data credential as a kernel reads it."""

    value: str
    expires_at: datetime | None


class SessionCredentials(BaseModel):
    """The data credentials of one session, for its notebook's kernels."""

    session_id: str
    notebook_id: str
    credentials: dict[str, KernelCredential]

    @classmethod
    def of(cls, session_id: str, notebook_id: str, held: Mapping[str, DataCredential]) -> Self:
        """Write the values out: this is the one answer that holds them."""
        plain = {
            name: KernelCredential(value=one.value.get_secret_value(), expires_at=one.expires_at)
            for name, one in held.items()
        }
        return cls(session_id=session_id, notebook_id=notebook_id, credentials=plain)


class ServerCredentials(BaseModel):
    """All that the kernels of one server are to have: what is not in it is to go."""

    sessions: list[SessionCredentials]


class BridgeSaved(BaseModel):
    """What the database now holds of a notebook."""

    notebook_id: str
    version: int
    sha256: str
    created: bool
    receipt: str
    """A signed proof of that version, for the host."""


class Renamed(BaseModel):
    """A notebook's new name."""

    name: str


@router.post("/credentials", responses=responses(UnknownServer, InvalidRequest, HubUnavailable, HubBusy))
async def create_credential(
    asked: CredentialCreate,
    db: DbDep,
    state: StateDep,
    authorization: Annotated[str | None, Header(max_length=300)] = None,
) -> Credential:
    """Exchange a server's own hub token for a credential that this service understands without the hub."""
    scheme, _, hub_token = (authorization or "").partition(" ")
    if scheme.lower() != "token" or not hub_token:
        raise UnknownServer
    return await credential_for(
        db, state["hubs"], state["signer"], state["call_keys"],
        server_id=asked.server_id, hub_token=hub_token, lifetime=state["settings"].credential_lifetime,
    )  # fmt: skip


@router.post(
    "/tickets/redeem",
    responses=responses(
        UnknownServer, TicketExpired, TicketInvalid, TicketUsed, TicketForAnotherServer, SessionOver, InvalidRequest,
        HubUnavailable, HubBusy,
    ),
)  # fmt: skip
async def redeem_ticket(asked: TicketRedeem, bridge: BridgeDep, state: StateDep) -> Entry:
    """Exchange a frame's ticket, once, for a hub token that opens this one server."""
    lifetime = state["settings"].frame_lifetime
    return await bridge.redeem(asked.ticket, state["hubs"], state["signer"], lifetime=lifetime)


@router.get("/control", response_class=EventSourceResponse, responses=responses(UnknownServer))
async def follow_sessions(
    server: CallingServerDep, credential: CredentialDep, state: StateDep
) -> AsyncIterator[ServerSentEvent]:
    """Hear at once whose frames are to be cut, as server-sent events, until the credential ends or the server has.

    | event | data |
    | --- | --- |
    | `sessions` | `session_ids`: all that may have a frame. First on every stream |
    | `credentials` | `session_id`: its data credentials are others than before |
    | `over` | `session_id`, `reason`, `within`: seconds until its frames and websockets are cut at the latest |
    """
    until = credential.expires_at - _RENEWED_BEFORE
    async for told in state["control"].follow(server.id, until=until):
        yield ServerSentEvent(data=told.model_dump(), event=_EVENTS[type(told)])


@router.post("/activity", responses=responses(UnknownServer, InvalidRequest))
async def tell_activity(told: ActivityTold, bridge: BridgeDep) -> ActivityTold:
    """Hear when somebody last worked in a server: one that idles is saved and ended."""
    await bridge.worked(timedelta(seconds=told.idle_for))
    return told


@router.get("/data-credentials", responses=responses(UnknownServer))
async def get_data_credentials(
    server: CallingServerDep, db: DbDep, state: StateDep, response: Response
) -> ServerCredentials:
    """Give what hosts have passed for this server's open sessions, to be read by their kernels."""
    response.headers["Cache-Control"] = "no-store"
    kept = await state["vault"].of_server(db, server.id)
    sessions = [SessionCredentials.of(id, notebook_id, held) for id, (notebook_id, held) in kept.items()]
    return ServerCredentials(sessions=sessions)


@router.put(
    "/notebooks/{id}/content",
    openapi_extra=_FILE,
    responses=responses(
        UnknownServer, NotAllowed, NotebookNotFound, VersionNotFound, VersionConflict, NotebookTooLarge, InvalidRequest,
        BaseVersionRequired,
    ),
)  # fmt: skip
async def save_content(
    id: str,
    request: Request,
    bridge: BridgeDep,
    if_match: Annotated[str | None, Header(max_length=200)] = None,
    inset_origin: Annotated[Origin, Header()] = "autosave",
    inset_unanswered: Annotated[
        str, Header(pattern=_HASHES, description="Hashes of what was sent on this base and got no answer, by commas.")
    ] = "",
) -> BridgeSaved:
    """Store a file that Jupyter saved, byte for byte, valid or not. Refusing it would lose somebody's work.

    A save that follows others whose answers got lost names them in `Inset-Unanswered`: it is based on the last of
    them that was stored, and so is no conflict with what the same server has sent before.
    """
    document = await accepted(document_from_jupyter, await received(request), bridge.known(id))
    unanswered = inset_unanswered.split(",") if inset_unanswered else []
    base = base_version(if_match)
    stored, receipt = await bridge.save(id, document, base=base, origin=inset_origin, unanswered=unanswered)
    version = stored.version
    return BridgeSaved(
        notebook_id=id, version=version.number, sha256=version.sha256, created=stored.created, receipt=receipt
    )


@router.patch("/notebooks/{id}", responses=responses(UnknownServer, NotAllowed, NotebookNotFound, InvalidRequest))
async def rename_notebook(id: str, renamed: FileRenamed, bridge: BridgeDep) -> Renamed:
    """Let a notebook's name follow its file, which was renamed inside Jupyter."""
    return Renamed(name=(await bridge.rename(id, renamed.path)).name)


@router.post(
    "/notebooks",
    status_code=201,
    openapi_extra=_FILE,
    responses=responses(UnknownServer, NotAllowed, NotebookTooLarge, InvalidRequest, KeyReused, RequestUnderWay),
)
async def create_notebook(
    request: Request,
    bridge: BridgeDep,
    once: BridgeOnceDep,
    inset_name: Annotated[str, Header(min_length=1, max_length=2000)],
) -> BridgeSaved:
    """Store a notebook that was made inside Jupyter. `Inset-Name` is percent-encoded UTF-8."""
    document = await accepted(document_from_jupyter, await received(request))

    async def create() -> BridgeSaved:
        notebook = await bridge.create(unquote(inset_name), document)
        receipt = await bridge.receipt(notebook.id, notebook.current)
        return BridgeSaved(
            notebook_id=notebook.id, version=notebook.current, sha256=document.sha256, created=True, receipt=receipt
        )

    return await once.run((inset_name, document.sha256), create, BridgeSaved)
