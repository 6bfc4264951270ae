"""Which file is what which page has saved last: a page whose save got no answer does not know whether it was done."""

from collections.abc import Collection


class PageSaves:
    """Of each file the last save by a page of ours: what the page calls it, and the hash of the bytes that it wrote."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, str]] = {}

    def note(self, path: str, save: str, digest: str) -> None:
        self._last[path] = (save, digest)

    def wrote(self, path: str, digest: str, saves: Collection[str]) -> bool:
        """Tell whether one of these saves made the file what it is, which is bytes of this hash."""
        save, written = self._last.get(path, ("", ""))
        return written == digest and save in saves
