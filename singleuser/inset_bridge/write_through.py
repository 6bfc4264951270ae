"""A save is answered when the service has it: what Jupyter has acknowledged does not go with its server's disk."""

from collections.abc import Awaitable, Callable
from typing import Any

from inset_bridge.full_disk import RoomForFiles

Saved = Callable[[str, str, str], Awaitable[None]]
"""Is told the path of a file that was saved, the save's origin, and what its page calls it, if it calls it anything.
Never fails; takes its time, within bounds."""
_LAST = (None, -1)
"""The chunks after which a file is whole: of one that was not cut up, and the last of one that was."""


class WrittenThrough(RoomForFiles):
    """Jupyter's own files, each save of which the bridge hears of before it is answered.

    A page of ours says by two members more what a save is (`inset_origin`) and which (`inset_save`); all others are
    autosaves.
    """

    saved: Saved | None = None
    """Set once the bridge is there."""

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        whole = model.get("chunk") in _LAST
        origin = "save" if model.get("inset_origin") == "save" else "autosave"
        saved = await super().save(model, path)
        if whole and self.saved is not None:
            await self.saved(path.strip("/"), origin, str(model.get("inset_save", "")))
        return saved
