"""For whom something is being done at this moment: what the log, traces and the audit log say beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Actor = Literal["user", "backend", "server", "operator", "service"]
"""Who acts: a host's user, its backend for him, his notebook server, somebody at the command line, Inset by itself."""


@dataclass
class Acting:
    """One request, one step of a session, or one command."""

    actor: Actor = "service"
    request_id: str | None = None
    traceparent: str | None = None
    """W3C's name of the span that this is part of."""
    host_id: str | None = None
    user: str | None = None
    session_id: str | None = None


_PRESENT: ContextVar[Acting] = ContextVar("inset_acting")


def acting() -> Acting:
    """Give what is known of the present act. What is learned of it later is set there."""
    return _PRESENT.get(None) or Acting()


@contextmanager
def acting_as(present: Acting) -> Iterator[Acting]:
    """Have all that is done in this block done as this act."""
    before = _PRESENT.set(present)
    try:
        yield present
    finally:
        _PRESENT.reset(before)
