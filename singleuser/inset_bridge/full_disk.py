"""A server whose disk is full: what has no room in its file goes to the service, and the page is told both."""

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError

from inset_bridge.errors import BridgeError, DiskFull
from inset_bridge.files import FULL, notebook_bytes

Unwritten = Callable[[str, bytes], Awaitable[bool]]
"""Takes a notebook's content that could not be written; tells whether the service has it."""


def says_full(error: BaseException | None) -> bool:
    """Tell whether something failed because no more can be written: to a file, or to Jupyter's own database."""
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
    return isinstance(error, OSError) and error.errno in FULL


class RoomForFiles(AsyncLargeFileManager):
    """Jupyter's own files; a save for which there is no room is refused as `DiskFull`."""

    unwritten: Unwritten | None = None
    """Is handed what it says. Set once the bridge is there."""

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        try:
            saved: dict[str, Any] = await super().save(model, path)  # type: ignore[no-untyped-call]
            return saved
        except HTTPError as exc:
            # Jupyter's own says no more than 500.
            if not says_full(exc.__cause__):
                raise
        raise DiskFull(stored=await self._stored(model, path.strip("/")))

    async def _stored(self, model: dict[str, Any], path: str) -> bool:
        if model.get("type") != "notebook" or self.unwritten is None:
            return False
        try:
            return await self.unwritten(path, notebook_bytes(model.get("content")))
        except BridgeError:
            return False
