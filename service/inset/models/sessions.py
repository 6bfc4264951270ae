"""Sessions, the servers they run on, and the events they tell."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BaseModel
from pydantic import Field as Bounded
from sqlalchemy import JSON, BigInteger, Column, Enum, Index, Integer, String, text
from sqlmodel import Field

from inset.clock import UtcDateTime, now
from inset.models.capabilities import EVERY_CAPABILITY, Capability, written
from inset.models.credentials import CredentialSet
from inset.models.table import Table
from inset.settings import DEFAULT_HUB, DataPolicy


class SessionState(StrEnum):
    """Where a session stands."""

    QUEUED = "queued"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"


STARTING = (SessionState.QUEUED, SessionState.STARTING, SessionState.LOADING)
"""The states in which a session waits for its server."""

OPEN = (*STARTING, SessionState.READY)
"""The states of a session that somebody uses or is about to use."""

WAITING = "Waiting for a seat"
"""What a session is told while it is queued."""

STARTING_SERVER = "Starting the notebook server"
PULLING_IMAGE = "Fetching the notebook server's image"
HUB_SILENT = "The notebook hub does not answer; it is asked again"

WaitsFor = Literal["hub", "image"]
_WAITS_FOR: dict[str, WaitsFor] = {HUB_SILENT: "hub", PULLING_IMAGE: "image"}


def waits_for(message: str) -> WaitsFor | None:
    """Give the word that goes with a message, for who has words of his own; None where the state says it all."""
    return _WAITS_FOR.get(message)


OVER = (SessionState.ENDED, SessionState.FAILED)
"""The states from which a session never comes back."""


PROFILE_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"


class ServerState(StrEnum):
    """Where a server stands, as the service knows it.

    One that is started ahead is warming, and warm until a user gets it: then it is his, and running as any other.
    One that died is recovering while it is started once more, for nobody but the service: to send what it still owed.
    A stopped one has given its seat back.
    """

    WARMING = "warming"
    WARM = "warm"
    STARTING = "starting"
    RUNNING = "running"
    RECOVERING = "recovering"
    STOPPING = "stopping"
    STOPPED = "stopped"


def _stored(states: type[StrEnum]) -> Enum:
    # As plain text, so that a new state needs no migration of a database type.
    return Enum(states, native_enum=False, length=16, values_callable=lambda kinds: [str(kind) for kind in kinds])


_SERVING = text("state IN ('starting', 'running')")
_SEATED = text("state != 'stopped'")
_OPEN = text("state NOT IN ('ending', 'ended', 'failed')")


class Server(Table, table=True):
    """One start of a notebook server in a seat, for one user. The seat is his until the server has stopped.

    One that was started ahead is nobody's until a user gets it, and never anybody else's after that.
    """

    __tablename__ = "servers"
    __table_args__ = (
        Index("one_server_a_seat", "seat", "hub", unique=True, sqlite_where=_SEATED, postgresql_where=_SEATED),
        Index(
            "one_server_a_user_and_kind",
            "host_id",
            "owner",
            "may",
            "data_policy",
            "profile",
            "environment_key",
            unique=True,
            sqlite_where=_SERVING,
            postgresql_where=_SERVING,
        ),
        Index("servers_by_host", "host_id", "created_at"),
    )

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True)
    host_id: str | None = Field(foreign_key="hosts.id", max_length=64)
    """None as long as it is nobody's."""
    owner: str
    may: str = written(EVERY_CAPABILITY)
    """What its user may do there. Sessions that may do different things never share a server."""
    data_policy: DataPolicy = Field(default="open", sa_type=String(16))
    """What it was started under. Sessions of another policy never get it."""
    profile: str = Field(default="default", max_length=32)
    environment: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    """What its host application put into its environment. Sessions of another one have a server of their own."""
    environment_key: str = Field(default="", max_length=64)
    """A hash of it, by which the database finds an equal one; empty if there is none."""
    made_of: str = Field(default="", max_length=64)
    """Of one that was started ahead: a hash of what its profile said then."""
    hub: str = Field(default=DEFAULT_HUB, max_length=32)
    """The hub that it is at, by the name it has in the settings. Each has seats of the same names."""
    seat: str
    state: ServerState = Field(default=ServerState.STARTING, sa_column=Column(_stored(ServerState), nullable=False))
    url: str | None = None
    """The server's public base URL, as the hub tells it once it runs."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    """When it was asked for; of one that was started ahead, when its user got it."""
    checked_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    """When a replica last took it on itself to look the server up, or to stop it."""
    active_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When somebody last worked in it, as its bridge tells; unknown without one."""
    died_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When it was found dead."""


class Session(Table, table=True):
    """One notebook, open for one user."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("one_session_a_notebook", "notebook_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("sessions_by_owner", "host_id", "owner", "created_at", "id"),
        Index("sessions_by_server", "server_id"),
        Index("sessions_by_state", "state"),
        Index("sessions_by_start", "started_at"),
    )

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True)
    host_id: str = Field(foreign_key="hosts.id", max_length=64)
    owner: str
    notebook_id: str = Field(foreign_key="notebooks.id")
    may: str = written(EVERY_CAPABILITY)
    """What the user may do in it, from its opening on."""
    data_policy: DataPolicy = Field(default="open", sa_type=String(16))
    profile: str = Field(default="default", max_length=32)
    environment: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    environment_key: str = Field(default="", max_length=64)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When it ends at the latest, however busy."""
    server_id: str | None = Field(default=None, foreign_key="servers.id")
    state: SessionState = Field(default=SessionState.QUEUED, sa_column=Column(_stored(SessionState), nullable=False))
    percent: int = 0
    message: str = WAITING
    failure: dict[str, str] | None = Field(default=None, sa_column=Column(JSON))
    ending_reason: str | None = None
    ending_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    embeddable: bool | None = None
    """Whether the server carries the save bridge; unknown until it has been asked."""
    path: str | None = None
    """The notebook's file in its server, fixed for the session unless the user renames it there."""
    version: int | None = None
    """The version that was last loaded into the server or saved from it."""
    traceparent: str | None = Field(default=None, max_length=64)
    """The span (W3C Trace Context) of the call that opened it, of which its start is a part."""
    lease_owner: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Until when one replica alone drives this session."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When it left the queue: the hub had taken its server's start on, or had the server already."""
    ready_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SessionEvent(Table, table=True):
    """One thing that happened to a session. The growing id is what a stream resumes from."""

    __tablename__ = "session_events"
    __table_args__ = (Index("events_by_session", "session_id", "id"), {"sqlite_autoincrement": True})

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    )
    session_id: str = Field(foreign_key="sessions.id")
    kind: str
    data: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


_Variable = Annotated[str, Bounded(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
_Value = Annotated[str, Bounded(max_length=4096, pattern=r"^[^\x00]*$")]
Environment = Annotated[dict[_Variable, _Value], Bounded(max_length=32)]


class SessionCreate(BaseModel):
    """Which notebook to open, and in what kind of server."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "notebook_id": "5f0c7a8a4d0b4c9f9f6d1c2b3a495867",
                    "profile": "large",
                    "environment": {"PLATFORM_PROJECT": "reach-2026"},
                }
            ]
        },
        "extra": "forbid",
    }

    notebook_id: str = Field(max_length=64)
    profile: str | None = Field(
        default=None, max_length=64, description="One of the host application's profiles; left out: its default."
    )
    environment: Environment = Field(
        default={},
        description="Variables for the server's environment, of names that the profile allows. No secrets: use "
        "`credentials` for those.",
    )
    credentials: CredentialSet | None = Field(
        default=None,
        description="What its kernels find in the file that `INSET_CREDENTIALS` names. From the host's backend alone; "
        "refreshed by `PUT /v1/sessions/{id}/credentials`.",
    )


class Progress(BaseModel):
    """How far a starting session is."""

    percent: int = Field(ge=0, le=100)
    message: str
    # Lacking where an older release has kept the answer.
    waits_for: WaitsFor | None = Field(
        default=None,
        description="What it waits for beyond what its state says: for the `hub`, which does not answer and is asked "
        "again, or for the server's `image`, which is being fetched to where the server will run.",
    )


class Failure(BaseModel):
    """Why a session failed."""

    code: str = Field(description="A stable reason to branch on.")
    title: str
    detail: str = Field(description="What a person should know, and what helps.")


class SessionPublic(BaseModel):
    """A session as its user sees it."""

    id: str
    notebook_id: str
    state: SessionState
    progress: Progress
    # Answers that an older release has kept for an `Idempotency-Key` lack both.
    position: int | None = Field(
        default=None,
        description="While it is `queued`: where it stands, 1 is next. Null for a moment at first, and afterwards.",
    )
    estimated_wait: int | None = Field(
        default=None,
        description="While it is `queued`: in how many seconds its turn may come; null if nothing is known yet.",
    )
    failure: Failure | None
    ending_reason: str | None = Field(
        description="Why the session ends or ended: `closed`, `idle`, `expired`, `revoked`, `policy-changed` or "
        "`maintenance`, as its hub was emptied."
    )
    may: list[Capability] = Field(description="What the user may do in it.")
    data_policy: DataPolicy = Field(description="`restricted`: what is in it stays inside (`docs/restricted-data.md`).")
    profile: str = Field(description="The kind of server it runs in.")
    embeddable: bool | None = Field(description="Whether a frame can show it; null until the server has been asked.")
    version: int | None = Field(description="The version last loaded into the server or saved from it.")
    # Lacking where an older release has kept the answer, like the place in the queue.
    warm_up_url: str | None = Field(
        default=None,
        description="A page without content that, in a hidden frame, fetches the notebook interface's own files ahead. "
        "Null where there are none to be had, and once the server runs.",
    )
    created_at: datetime
    ready_at: datetime | None
    expires_at: datetime | None = Field(description="When it is saved and ended at the latest, however busy.")
    ended_at: datetime | None


class SessionList(BaseModel):
    """One page of a user's sessions, newest first."""

    items: list[SessionPublic]
    next_cursor: str | None


Interface = Literal["notebook", "lab"]
"""Notebook 7's single-document page, or JupyterLab. The first also works where a browser denies storage."""


class IframeUrlCreate(BaseModel):
    """How the frame should look."""

    model_config = {"json_schema_extra": {"examples": [{"interface": "notebook"}]}, "extra": "forbid"}

    interface: Interface = "notebook"


class IframeUrl(BaseModel):
    """A signed URL, good for one opening."""

    url: str
    expires_at: datetime


class Saved(BaseModel):
    """What the database now holds."""

    version: int
    sha256: str
    created: bool = Field(description="False if the content equals the version before, so that none was made.")
    flushed: bool = Field(description="Whether unsaved edits of an open page, if any, are in it.")


class SavedNow(Saved):
    """What the database now holds, with the proof of it."""

    receipt: str = Field(description="A signed proof of that version (`docs/receipts.md`).")
