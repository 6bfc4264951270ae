"""`/v1/sessions`: notebooks open in a running server."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from inset.deps import (
    CallerDep,
    CursorDep,
    FollowedDep,
    LimitDep,
    OnceDep,
    SessionsDep,
    StateDep,
    get_backend,
    needs,
)
from inset.errors import (
    BackendOnly,
    EnvironmentNotAllowed,
    HubBusy,
    HubUnavailable,
    InvalidCursor,
    InvalidRequest,
    KeyReused,
    NotAllowed,
    NotebookNotFound,
    NotEmbeddable,
    PolicyNotEnforceable,
    QueueFull,
    RequestUnderWay,
    ServerGone,
    SessionDiffers,
    SessionLimit,
    SessionNotFound,
    SessionNotReady,
    SessionOver,
    UnknownProfile,
    VersionConflict,
)
from inset.models import (
    OVER,
    CredentialsHeld,
    CredentialsPut,
    IframeUrl,
    IframeUrlCreate,
    SavedNow,
    SessionCreate,
    SessionList,
    SessionPublic,
    SessionState,
)
from inset.problems import responses
from inset.routers import hosts_router

router = hosts_router("/v1/sessions", tag="sessions", wakes_driver=True)
reading = hosts_router("/v1/sessions", tag="sessions")
"""The calls that leave the driver nothing to do."""
streams = hosts_router("/v1/sessions", tag="sessions", counted=False)
"""The calls that last as long as a session: a page connects anew whenever its network wants it."""

_JOINED: dict[int | str, dict[str, Any]] = {
    200: {"model": SessionPublic, "description": "The notebook is open already: this is its session."}
}


@router.post(
    "",
    status_code=202,
    responses={
        **_JOINED,
        **responses(
            NotebookNotFound, BackendOnly, SessionLimit, SessionDiffers, RequestUnderWay, InvalidRequest,
            UnknownProfile, EnvironmentNotAllowed, KeyReused, PolicyNotEnforceable, QueueFull,
        ),
    },
)  # fmt: skip
async def open_session(new: SessionCreate, response: Response, sessions: SessionsDep, once: OnceDep) -> SessionPublic:
    """Open a notebook. The answer comes at once; follow the session's events until it is `ready`.

    Where there is no place for it now, it waits `queued`, with a `position`; host applications are served in turn.

    A notebook that is open is joined as it is; asked for another profile or environment than it has, `session-differs`.
    """

    async def open() -> SessionPublic:
        session, created = await sessions.open(new)
        response.status_code = 202 if created else 200
        return session

    session = await once.run(new, open, SessionPublic)
    response.headers["Location"] = f"/v1/sessions/{session.id}"
    return session


@reading.get("", responses=responses(InvalidRequest, InvalidCursor))
async def list_sessions(
    sessions: SessionsDep,
    state: Annotated[Literal["live"] | None, Query(description="`live`: only sessions that are not over.")] = None,
    cursor: CursorDep = None,
    limit: LimitDep = 50,
) -> SessionList:
    """List the user's sessions, newest first."""
    return await sessions.list(live=state == "live", cursor=cursor, limit=limit)


@reading.get("/{id}", responses=responses(SessionNotFound))
async def get_session(id: str, sessions: SessionsDep) -> SessionPublic:
    """Describe a session."""
    return await sessions.get(id)


@router.delete("/{id}", status_code=202, responses=responses(SessionNotFound))
async def close_session(id: str, sessions: SessionsDep) -> SessionPublic:
    """Save and close a session. The answer comes at once; the stream's last event is `ended`."""
    return await sessions.close(id)


@router.put(
    "/{id}/credentials",
    dependencies=[Depends(get_backend, scope="function")],
    responses=responses(BackendOnly, SessionNotFound, SessionOver, InvalidRequest),
)
async def put_credentials(id: str, new: CredentialsPut, sessions: SessionsDep) -> CredentialsHeld:
    """Refresh the data credentials of a session: its kernels have these, and no others, within a second or two.

    For the host's backend alone. They are kept encrypted, given to the session's own server, and forgotten when the
    session begins to end.
    """
    return await sessions.put_credentials(id, new.credentials)


@streams.get(
    "/{id}/events",
    response_class=EventSourceResponse,
    responses=responses(SessionNotFound, InvalidRequest),
)
async def follow_session(
    session: FollowedDep,
    caller: CallerDep,
    state: StateDep,
    last_event_id: Annotated[int, Header(ge=0, lt=2**63, description="The `id` of the last event you have seen.")] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Follow a session as server-sent events, from its beginning or from `Last-Event-ID` on.

    The stream also closes when your token has expired: follow on with a new one.

    | event | data |
    | --- | --- |
    | `progress` | `percent`, `message`, `waits_for`, `state`; while `queued` also `position`, `estimated_wait` |
    | `ready` | `embeddable`, `version` |
    | `saved` | `version`, `sha256`, `origin`, `author` |
    | `conflict` | `base_version`, `current_version`, `kept_version`, `resolve`: the path to take a side at |
    | `renamed` | `name` |
    | `credentials` | `names` of the data credentials that its kernels have from now on |
    | `ending` | `reason`: as the session's own reason of ending; `in`: seconds until pages are cut |
    | `ended` | `reason`; the stream closes |
    | `failed` | `code`, `title`, `detail`; the stream closes |
    """
    live, queued = session.state not in OVER, session.state is SessionState.QUEUED
    events = state["feed"].follow(session.id, after=last_event_id, live=live, queued=queued, until=caller.until)
    async for event in events:
        id = str(event.id) if event.id else None  # what is not recorded is nothing to resume from
        yield ServerSentEvent(data={"at": event.created_at, **event.data}, event=event.kind, id=id)


@router.post(
    "/{id}/iframe-url",
    status_code=201,
    responses=responses(
        NotAllowed, SessionNotFound, SessionNotReady, NotEmbeddable, SessionDiffers, SessionOver, InvalidRequest
    ),
)
async def create_iframe_url(
    id: str, sessions: SessionsDep, state: StateDep, wish: IframeUrlCreate | None = None
) -> IframeUrl:
    """Sign a URL that shows the session's notebook in a frame: once, and within about a minute."""
    wish = wish or IframeUrlCreate()
    return await sessions.iframe_url(id, wish.interface, lifetime=state["settings"].ticket_lifetime)


@router.post(
    "/{id}/save",
    dependencies=[needs("edit")],
    responses=responses(
        NotAllowed, SessionNotFound, SessionNotReady, SessionOver, VersionConflict, HubUnavailable, HubBusy, ServerGone
    ),
)
async def save_session(id: str, sessions: SessionsDep) -> SavedNow:
    """Save now: an open page's unsaved edits first, if it answers within three seconds."""
    return await sessions.save(id)
