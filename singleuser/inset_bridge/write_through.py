"""A save is answered when the service has it: what Jupyter has acknowledged does not go with its server's disk."""

from collections.abc import Awaitable, Callable
from typing import Any

from inset_bridge.errors import FileChanged
from inset_bridge.full_disk import RoomForFiles
from inset_bridge.page_saves import PageSaves

Saved = Callable[[str, str], Awaitable[None]]
"""Is told the path of a file that was saved, and the save's origin. Never fails; takes its time, within bounds."""
_LAST = (None, -1)
"""The chunks after which a file is whole: of one that was not cut up, and the last of one that was."""


class WrittenThrough(RoomForFiles):
    """Jupyter's own files, each save of which the bridge hears of before it is answered.

    A page of ours says by more members what a save is (`inset_origin`), names it (`inset_save`), and is told the hash
    of the bytes that were written. It says the hash of those that it replaces (`inset_replaces`), and names the saves
    that nobody answered (`inset_unanswered`), one of which may have written them. All others are autosaves, over
    whatever is there.
    """

    saved: Saved | None = None
    """Set once the bridge is there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.page_saves = PageSaves()
        """The bridge's own once it is there."""

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Raises FileChanged, having written nothing, where the file is not what the page says that it replaces."""
        path = path.strip("/")
        whole = model.get("chunk") in _LAST
        origin = "save" if model.get("inset_origin") == "save" else "autosave"
        name = model.get("inset_save")
        async with self.page_saves.turn(path):
            if "inset_replaces" in model and await self.file_exists(path):
                held = (await self._hash(path))["hash"]
                # Itself among them: browsers and proxies may send a save once more.
                its_own = [*model.get("inset_unanswered", []), name]
                if held != model["inset_replaces"] and not self.page_saves.wrote(path, held, its_own):
                    raise FileChanged
            saved = await super().save(model, path)
            if name is not None:
                saved.update(await self._hash(path))
                self.page_saves.note(path, name, saved["hash"])
        if whole and self.saved is not None:
            await self.saved(path, origin)
        return saved

    async def update(self, model: dict[str, Any], path: str) -> dict[str, Any]:
        """Rename, and tell the hash: a page that is told none does not know any more what it has opened."""
        renamed: dict[str, Any] = await super().update(model, path)  # type: ignore[no-untyped-call]
        if renamed["type"] == "notebook":
            renamed.update(await self._hash(renamed["path"]))
        return renamed

    async def _hash(self, path: str) -> dict[str, Any]:
        held = await self.get(path, content=False, require_hash=True)  # type: ignore[no-untyped-call]
        return {member: held[member] for member in ("hash", "hash_algorithm")}
