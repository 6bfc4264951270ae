"""A save is answered when the service has it: what Jupyter has acknowledged does not go with its server's disk."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from inset_bridge.errors import FileChanged
from inset_bridge.full_disk import RoomForFiles

Saved = Callable[[str, str, str], Awaitable[None]]
"""Is told the path of a file that was saved, the save's origin, and what its page calls it, if it calls it anything.
Never fails; takes its time, within bounds."""
_LAST = (None, -1)
"""The chunks after which a file is whole: of one that was not cut up, and the last of one that was."""


class WrittenThrough(RoomForFiles):
    """Jupyter's own files, each save of which the bridge hears of before it is answered.

    A page of ours says by three members more what a save is (`inset_origin`), which (`inset_save`), and the hash of the
    bytes that it replaces (`inset_replaces`); it is told the hash of the new ones. All others are autosaves, over
    whatever is there.
    """

    saved: Saved | None = None
    """Set once the bridge is there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By path, held from the look at a file until it is another."""

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Raises FileChanged, having written nothing, where the file is not what the page says that it replaces."""
        path = path.strip("/")
        whole = model.get("chunk") in _LAST
        origin = "save" if model.get("inset_origin") == "save" else "autosave"
        replaces = model.get("inset_replaces")
        async with self._turns.setdefault(path, asyncio.Lock()):
            if replaces is not None and await self.file_exists(path) and (await self._hash(path))["hash"] != replaces:
                raise FileChanged
            saved = await super().save(model, path)
            if replaces is not None:
                saved.update(await self._hash(path))
        if whole and self.saved is not None:
            await self.saved(path, origin, str(model.get("inset_save", "")))
        return saved

    async def _hash(self, path: str) -> dict[str, Any]:
        held = await self.get(path, content=False, require_hash=True)  # type: ignore[no-untyped-call]
        return {member: held[member] for member in ("hash", "hash_algorithm")}
