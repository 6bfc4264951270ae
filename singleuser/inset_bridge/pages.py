"""Talks to the open pages through Jupyter's own event stream, which every page listens to."""

import asyncio
import uuid
from typing import Any

from jupyter_events import EventLogger

from inset_bridge.sockets import Sockets

SCHEMA_ID = "https://inset/bridge/v1"
_SCHEMA = {
    "$id": SCHEMA_ID,
    "version": "1",
    "title": "Inset's requests to a page",
    "personal-data": True,
    "type": "object",
    "required": ["action", "path"],
    "properties": {
        "action": {"enum": ["flush", "load"], "description": "Save unsaved edits; or read the file again."},
        "path": {"type": "string", "description": "The notebook's path, as the contents API says it."},
        "request": {"type": "string", "description": "For flush: to be repeated in the page's own flush call."},
        "version": {"type": "integer", "description": "For load: the version that the file now holds."},
    },
}


class Pages:
    """The pages that listen to this server. Each answers every request: by its saves, or that it has none."""

    def __init__(self, events: EventLogger, sockets: Sockets, *, patience: float = 3.0) -> None:
        events.register_event_schema(_SCHEMA)
        self._events = events
        self._sockets = sockets
        self._patience = patience
        self._answers: dict[str, asyncio.Semaphore] = {}

    async def ask_to_save(self, path: str) -> bool:
        """Ask for unsaved edits and wait until every page has answered; False if one is silent.

        That a page shows a notebook cannot be seen from here: its kernel may not have started, nor its socket to it.
        """
        asked = self._sockets.pages()
        if not asked:
            return True
        request = uuid.uuid4().hex
        answers = self._answers[request] = asyncio.Semaphore(0)
        answered = 0
        try:
            self._emit(action="flush", path=path, request=request)
            async with asyncio.timeout(self._patience):
                for _ in range(asked):
                    await answers.acquire()
                    answered += 1
        except TimeoutError:
            pass
        finally:
            del self._answers[request]
        # One that was closed meanwhile owes no answer.
        return answered >= min(asked, self._sockets.pages())

    def answered(self, request: str) -> None:
        """A page named a request: it has saved, or shows another notebook. Perhaps nobody waits for it any more."""
        if request in self._answers:
            self._answers[request].release()

    def tell_to_load(self, path: str, version: int) -> None:
        self._emit(action="load", path=path, version=version)

    def _emit(self, **data: Any) -> None:
        self._events.emit(schema_id=SCHEMA_ID, data=data)
