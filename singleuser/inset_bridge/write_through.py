"""A save is answered when the service has it: what Jupyter has acknowledged does not go with its server's disk."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from inset_bridge.errors import FileChanged
from inset_bridge.full_disk import RoomForFiles
from inset_bridge.page_saves import PageSaves

Saved = Callable[[str, str], Awaitable[None]]
"""Is told the path of a file that was saved, and the save's origin. Never fails; takes its time, within bounds."""
_LAST = (None, -1)
"""The chunks after which a file is whole: of one that was not cut up, and the last of one that was."""


class WrittenThrough(RoomForFiles):
    """Jupyter's own files, each save of which the bridge hears of before it is answered.

    A page of ours says by more members what a save is (`inset_origin`) and the hash of the bytes that it replaces
    (`inset_replaces`), and is told the hash of the new ones. It names each save (`inset_save`), and those that nobody
    answered (`inset_unanswered`): one of them may be what it replaces. Others are autosaves, over whatever is there.
    """

    saved: Saved | None = None
    """Set once the bridge is there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.page_saves = PageSaves()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By path, held from the look at a file until it is another."""

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Raises FileChanged, having written nothing, where the file is not what the page says that it replaces."""
        path = path.strip("/")
        whole = model.get("chunk") in _LAST
        origin = "save" if model.get("inset_origin") == "save" else "autosave"
        replaces = model.get("inset_replaces")
        async with self._turns.setdefault(path, asyncio.Lock()):
            if replaces is not None and await self.file_exists(path):
                held = (await self._hash(path))["hash"]
                unanswered = model.get("inset_unanswered", [])
                if held != replaces and not self.page_saves.wrote(path, held, unanswered):
                    raise FileChanged
            saved = await super().save(model, path)
            if replaces is not None:
                saved.update(await self._hash(path))
                self.page_saves.note(path, model.get("inset_save", ""), saved["hash"])
        if whole and self.saved is not None:
            await self.saved(path, origin)
        return saved

    async def _hash(self, path: str) -> dict[str, Any]:
        held = await self.get(path, content=False, require_hash=True)  # type: ignore[no-untyped-call]
        return {member: held[member] for member in ("hash", "hash_algorithm")}
