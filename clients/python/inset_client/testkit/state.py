"""What the fake keeps, in memory: notebooks with their versions, sessions with their events."""

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

OVER = ("ended", "failed")
STARTING = ("queued", "starting", "loading")
_EMPTY_CELL: dict[str, Any] = {
    "cell_type": "code", "execution_count": None, "id": "first", "metadata": {}, "outputs": [], "source": [],
}  # fmt: skip
EMPTY_DOCUMENT = {"cells": [_EMPTY_CELL], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
_CLOSING_SECONDS = 0.1
_SECONDS_A_PLACE = 60
_WAITING = {
    None: "Waiting for its turn",
    "hub": "The notebook hub does not answer; it is asked again",
    "image": "Fetching the notebook server's image",
}
_STEPS = (
    ("starting", 10, "Finding a seat"),
    ("starting", 45, "Starting the notebook server"),
    ("loading", 85, "Loading the notebook"),
)


@dataclass
class FakeVersion:
    """An immutable snapshot."""

    number: int
    content: bytes = field(repr=False)
    origin: str
    author: str
    parent: int | None
    aside: str | None = None
    merged: int | None = None
    label: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def public(self) -> dict[str, Any]:
        """Write it as the API does."""
        shown = {name: value for name, value in vars(self).items() if name not in ("content", "created_at")}
        told = {"sha256": self.sha256, "size": len(self.content), "valid": True}
        return {**shown, **told, "created_at": self.created_at.isoformat()}


@dataclass
class FakeNotebook:
    """A stored document of one user."""

    name: str
    owner: str
    id: str = field(default_factory=lambda: uuid4().hex)
    deleted: bool = False
    versions: list[FakeVersion] = field(default_factory=list)

    @property
    def current(self) -> FakeVersion:
        """The version that a reader gets."""
        return next(version for version in reversed(self.versions) if version.aside is None)

    def add(self, content: bytes, *, origin: str, author: str, parent: int | None, **facts: Any) -> FakeVersion:
        """Append a version."""
        made = FakeVersion(len(self.versions) + 1, content, origin, author, parent, **facts)
        self.versions.append(made)
        return made

    def public(self) -> dict[str, Any]:
        """Write it as the API does."""
        current, times = self.current, [version.created_at.isoformat() for version in self.versions]
        told = {"id": self.id, "name": self.name, "version": current.number, "size": len(current.content)}
        return {**told, "sha256": current.sha256, "created_at": times[0], "updated_at": times[-1]}


@dataclass
class FakeSession:
    """One notebook open for one user. It goes on by the clock, and is brought up to it whenever somebody looks."""

    notebook_id: str
    owner: str
    may: list[str]
    step: float
    """Seconds that each step of opening takes."""
    new_id: Callable[[], int] = field(repr=False)
    """Numbers the events: of all sessions together, as in the service."""
    heard: Callable[["FakeSession", str], None] = field(default=lambda session, kind: None, repr=False)
    """Is told what kind of thing happens to it."""
    failure: dict[str, str] | None = None
    """Why it will fail, instead of becoming ready."""
    place: int | None = None
    """Where it waits in the queue, 1 is next; None lets it in."""
    waits_for: str | None = None
    """The `hub` or the `image` that it waits for; None has it go on."""
    profile: str = "default"
    id: str = field(default_factory=lambda: uuid4().hex)
    state: str = "starting"
    percent: int = 0
    message: str = "Waiting for its turn"
    version: int | None = None
    ending_reason: str | None = None
    credentials: dict[str, str | None] = field(default_factory=dict)
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ready_at: datetime | None = None
    ended_at: datetime | None = None
    _began: float = field(default_factory=time.monotonic, repr=False)
    _done: int = 0
    _told: tuple[int | None, str | None] = (None, None)
    _one_at_a_time: threading.RLock = field(default_factory=threading.RLock, repr=False)
    """A test looks from its own thread."""

    def advance(self, current: int) -> None:
        """Do what is due by now; `current` is the notebook's version."""
        with self._one_at_a_time:
            self._advance(current)

    def _advance(self, current: int) -> None:
        if (self.place or self.waits_for) and self.state in STARTING:
            self._wait()
        elif self._began == math.inf:
            self._began = time.monotonic()
        while self.state in STARTING and time.monotonic() >= self._began + self._done * self.step:
            if self._done == len(_STEPS):
                self._settle(current)
                break
            self.state, self.percent, self.message = _STEPS[self._done]
            self._done += 1
            self.tell("progress", percent=self.percent, message=self.message, waits_for=None, state=self.state)
        if self.state == "ending" and time.monotonic() >= self._began + _CLOSING_SECONDS:
            self.state, self.ended_at = "ended", datetime.now(UTC)
            self.tell("ended", reason=self.ending_reason)

    def end(self, reason: str) -> None:
        """Begin to save and end it."""
        if self.state in ("ending", *OVER):
            return
        self.state, self.ending_reason, self._began = "ending", reason, time.monotonic()
        self.credentials.clear()
        self.tell("ending", reason=reason, **{"in": 5})

    def tell(self, kind: str, **data: Any) -> None:
        """Have followers hear of something."""
        self.events.append((self.new_id(), kind, {"at": datetime.now(UTC).isoformat(), **data}))
        self.heard(self, kind)

    def public(self) -> dict[str, Any]:
        """Write it as the API does."""
        shown = ("id", "notebook_id", "state", "ending_reason", "may", "profile", "version")
        times = {name: getattr(self, name) for name in ("created_at", "ready_at", "ended_at")}
        ready = self.ready_at is not None
        return {
            **{name: getattr(self, name) for name in shown},
            **{name: moment and moment.isoformat() for name, moment in times.items()},
            "progress": {"percent": self.percent, "message": self.message, "waits_for": self._waits_for},
            "failure": self.failure if self.state == "failed" else None,
            "embeddable": True if ready else None,
            "expires_at": None,
            "position": self.place if self.state == "queued" else None,
            "estimated_wait": self._wait_seconds if self.state == "queued" else None,
            "warm_up_url": None,
        }

    @property
    def _wait_seconds(self) -> int:
        return _SECONDS_A_PLACE * (self.place or 0)

    @property
    def _waits_for(self) -> str | None:
        return self.waits_for if self.state in STARTING else None

    def _wait(self) -> None:
        fetches = self.waits_for == "image" and not self.place
        self.state, self.percent = ("starting", 10) if fetches else ("queued", 0)
        self._began = math.inf
        if self._told != (self.place, self.waits_for):
            self._told = (self.place, self.waits_for)
            self.message = _WAITING[self.waits_for]
            where = {} if fetches else {"position": self.place, "estimated_wait": self._wait_seconds}
            what = {"message": self.message, "waits_for": self.waits_for, "state": self.state}
            self.tell("progress", percent=self.percent, **what, **where)

    def _settle(self, current: int) -> None:
        if self.failure:
            self.state, self.ended_at = "failed", datetime.now(UTC)
            self.tell("failed", **self.failure)
            return
        self.state, self.percent, self.message = "ready", 100, "Ready"
        self.version, self.ready_at = current, datetime.now(UTC)
        self.tell("ready", embeddable=True, version=current)


def checked(content: object) -> bytes:
    """Write a document as Jupyter does. Raises `ValueError` for what is no notebook."""
    if not isinstance(content, dict) or content.get("nbformat") != 4 or not isinstance(content.get("cells"), list):
        raise ValueError("it has no cells of nbformat 4")
    cells = [{**cell, "source": _lines(cell.get("source", ""))} for cell in content["cells"]]
    return json.dumps({**content, "cells": cells}, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _lines(source: str | list[str]) -> list[str]:
    return "".join(source).splitlines(keepends=True)
