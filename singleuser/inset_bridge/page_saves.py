"""Whose a file's content is: a page whose save nobody answered does not know whether it was done."""

import asyncio
from collections.abc import Collection
from weakref import WeakValueDictionary


class PageSaves:
    """Of each file the last save that a page of ours named: the name, and the hash of the bytes that it wrote."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, str]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, path: str) -> asyncio.Lock:
        """Held by whoever saves, or leaves, from his look at the file until it is another."""
        return self._turns.setdefault(path, asyncio.Lock())

    def note(self, path: str, save: str, digest: str) -> None:
        self._last[path] = (save, digest)

    def wrote(self, path: str, digest: str, saves: Collection[str]) -> bool:
        """Tell whether one of these saves made the file what it is, which is bytes of this hash."""
        save, written = self._last.get(path, ("", ""))
        return written == digest and save in saves
