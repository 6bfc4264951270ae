"""What the service answers. A test compares each class with `docs/openapi.json`, where fields are described.

Words of a closed list (states, origins) are typed as such, and a newer service's further words are let through.
"""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

Capability = Literal["edit", "run", "download", "terminals"]
Origin = Literal["api", "autosave", "save", "restore", "stop", "merge"]
Aside = Literal["open", "settled"]
Take = Literal["mine", "theirs", "merge"]
SessionState = Literal["queued", "starting", "loading", "ready", "ending", "ended", "failed"]
DeliveryState = Literal["waiting", "delivered", "failed"]
Interface = Literal["notebook", "lab"]
Action = Literal[
    "session.opened",
    "session.entered",
    "session.ending",
    "session.failed",
    "notebook.created",
    "notebook.saved",
    "notebook.renamed",
    "notebook.deleted",
    "notebook.undeleted",
    "notebook.purged",
    "notebook.downloaded",
    "notebook.compared",
    "notebook.previewed",
    "user.revoked",
    "host.registered",
    "host.key-added",
    "host.key-retired",
    "host.removed",
    "hub.drained",
    "hub.resumed",
]

OVER: tuple[SessionState, ...] = ("ended", "failed")
"""The states from which a session never comes back."""

Item = TypeVar("Item")


class Answer(BaseModel):
    """Something the service said."""

    model_config = ConfigDict(frozen=True)


class Page(Answer, Generic[Item]):
    """Part of a list, newest first."""

    items: list[Item]
    next_cursor: str | None


class Notebook(Answer):
    """A notebook, without its content."""

    id: str
    name: str
    version: int
    """The number of the current version: what a replacing write is based on."""
    size: int
    sha256: str
    created_at: datetime
    updated_at: datetime


class NotebookStored(Notebook):
    """A notebook whose current version was stored just now, or was stored before with equal content."""

    receipt: str


class Version(Answer):
    """An immutable snapshot of a notebook, without its content."""

    number: int
    parent: int | None
    sha256: str
    size: int
    origin: Origin | str
    author: str
    valid: bool
    label: str | None
    aside: Aside | str | None
    merged: int | None
    created_at: datetime


class VersionStored(Version):
    """A version that was stored just now."""

    receipt: str


class Receipt(Answer):
    """A signed proof of a version. `Inset.verify_receipt` reads it."""

    receipt: str


class Progress(Answer):
    """How far a starting session is."""

    percent: int
    message: str
    waits_for: Literal["hub", "image"] | str | None = None
    """A hub that does not answer yet, or an image that is being fetched. Older services say nothing of it."""


class Failure(Answer):
    """Why a session failed."""

    code: str
    title: str
    detail: str


class Session(Answer):
    """One notebook open for one user."""

    id: str
    notebook_id: str
    state: SessionState | str
    progress: Progress
    failure: Failure | None
    ending_reason: str | None
    may: list[Capability | str]
    profile: str
    embeddable: bool | None
    version: int | None
    position: int | None = None
    """While it is queued: where it stands, 1 is next. Older services say nothing of it, nor of the next two."""
    estimated_wait: int | None = None
    """In how many seconds its turn may come, if that is known."""
    data_policy: Literal["open", "restricted"] | str | None = None
    warm_up_url: str | None = None
    """A page that fetches the notebook interface's own files ahead, in a hidden frame, while the server starts."""
    created_at: datetime
    ready_at: datetime | None
    expires_at: datetime | None
    ended_at: datetime | None


class IframeUrl(Answer):
    """A signed URL, good for one opening."""

    url: str
    expires_at: datetime


class SavedNow(Answer):
    """What the database now holds of an open notebook."""

    version: int
    sha256: str
    created: bool
    flushed: bool
    receipt: str


class CredentialsHeld(Answer):
    """The data credentials of a session, by their names: until when each is good."""

    expires_at: dict[str, datetime | None]


class DiffLine(Answer):
    """One line of a cell's source."""

    op: Literal["+", "-", " "]
    text: str


class Hunk(Answer):
    """Lines that changed, with up to three around them."""

    from_line: int
    to_line: int
    lines: list[DiffLine]


class CellChange(Answer):
    """One cell that is not as it was, or not where it was."""

    change: Literal["added", "removed", "changed", "moved"] | str
    cell_id: str | None
    cell_type: str
    from_index: int | None
    to_index: int | None
    source: list[Hunk]
    type_changed: bool
    outputs_changed: bool
    metadata_changed: bool


class NotebookDiff(Answer):
    """How one version became another, in cells."""

    from_version: int
    from_sha256: str
    to_version: int
    to_sha256: str
    metadata_changed: bool
    cells: list[CellChange]
    unchanged: int


class Revoked(Answer):
    """A user who was turned away."""

    user: str
    revoked_at: datetime
    sessions_ended: int


class Act(Answer):
    """One line of the audit log."""

    id: int
    at: datetime
    action: Action | str
    actor: Literal["user", "backend", "server", "operator", "service"] | str
    host_id: str
    user: str | None
    notebook_id: str | None
    session_id: str | None
    request_id: str | None
    facts: dict[str, Any]


class Delivery(Answer):
    """One event on its way to one webhook endpoint."""

    id: int
    event_id: str
    """The header `webhook-id`: the same with each attempt, and when it is sent again."""
    endpoint: str
    type: Literal["session.ready", "session.ended", "notebook.saved", "notebook.conflict"] | str
    subject: str
    """The id of the notebook, or of the session."""
    state: DeliveryState | str
    attempts: int
    created_at: datetime
    next_at: datetime | None
    finished_at: datetime | None
    last_status: int | None
    last_error: str | None


class Finding(Answer):
    """One thing that the service found out about its deployment."""

    code: str
    level: Literal["ok", "skipped", "warning", "error"] | str
    message: str
    fix: str | None = None


class Diagnosis(Answer):
    """What the service found out about itself and what it stands on."""

    findings: list[Finding]
