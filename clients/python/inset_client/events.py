"""What happens to a session, and how the event stream says it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from inset_client.models import Answer, Origin, SessionState

FINAL = ("ended", "failed")
"""The events after which nothing follows."""


class Event(Answer):
    """Something that happened. Of a kind that this package does not know, `data` says what."""

    id: int | None
    """Where `follow(…, after=…)` goes on; None for what is told and not recorded."""
    kind: str
    at: datetime
    data: dict[str, Any]
    """All that the service said of it."""


class ProgressMade(Event):
    """The session comes closer to being ready."""

    percent: int
    message: str
    state: SessionState | str
    position: int | None = None
    """How many are served before it, from 1 on, while it waits in the queue."""
    estimated_wait: int | None = None
    """In how many seconds its turn may come, if that is known."""
    waits_for: Literal["hub", "image"] | str | None = None
    """What it waits for beyond its state: a hub that does not answer yet, or an image that is being fetched."""


class Ready(Event):
    """The notebook can be shown in a frame, if it is `embeddable`."""

    embeddable: bool
    version: int | None


class Saved(Event):
    """The database holds a new version."""

    version: int
    sha256: str
    origin: Origin | str
    author: str


class Conflicted(Event):
    """What was saved in the session was not based on the current version, and is kept on the side."""

    base_version: int
    current_version: int
    kept_version: int
    resolve: str | None


class Renamed(Event):
    """The notebook was renamed inside Jupyter."""

    name: str


class CredentialsChanged(Event):
    """The session's kernels have data credentials of these names from now on."""

    names: list[str]


class Ending(Event):
    """The session is being saved and ended."""

    reason: str


class Ended(Event):
    """The session is over."""

    reason: str


class Failed(Event):
    """The session is over: it failed."""

    code: str
    title: str
    detail: str


_KINDS: Mapping[str, type[Event]] = {
    "progress": ProgressMade,
    "ready": Ready,
    "saved": Saved,
    "conflict": Conflicted,
    "renamed": Renamed,
    "credentials": CredentialsChanged,
    "ending": Ending,
    "ended": Ended,
    "failed": Failed,
}


class EventReader:
    """Makes events of a stream's lines, as the HTML standard describes."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def line(self, line: str) -> Event | None:
        """Take the next line, without its end; give the event that it completes, if it does."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data" and "data" in self._fields:
                value = f"{self._fields['data']}\n{value}"
            self._fields[name] = value
            return None
        fields, self._fields = self._fields, {}
        return _event(fields) if "data" in fields else None


def _event(fields: Mapping[str, str]) -> Event:
    data, kind = json.loads(fields["data"]), fields.get("event", "message")
    id = int(fields["id"]) if "id" in fields else None
    said = {**data, "id": id, "kind": kind, "at": data["at"], "data": data}
    return _KINDS.get(kind, Event).model_validate(said)
