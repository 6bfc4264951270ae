"""What a process remembers of the documents that were stored last: at most so many bytes, and nothing that counts.

Everything here can be forgotten at any time, and makes no difference but how long the next save takes. Nothing is
believed that the database does not say, too: that this very version is there, with this hash.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace

from inset.cells import Cut

_NOTEBOOKS = 500
_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class Recent:
    """A notebook's version whose content this process has stored."""

    owner: tuple[str, str]
    """The host application and its user, whom alone it may make faster: nobody's time tells what another has."""
    number: int
    sha256: str
    size: int
    cut: Cut
    blobs: frozenset[bytes]
    """The keys of its blobs, which are there as long as the version is."""


class RecentDocuments:
    """The last one of each notebook, as far as there is room."""

    def __init__(self, most: int = _BYTES) -> None:
        self._most = most
        self._held = 0
        self._whole: OrderedDict[str, Recent] = OrderedDict()
        self._hashes: OrderedDict[str, Recent] = OrderedDict()

    def of(self, notebook_id: str) -> Recent | None:
        """Give what is known of a notebook."""
        return self._whole.get(notebook_id) or self._hashes.get(notebook_id)

    def known(self, notebook_id: str, owner: tuple[str, str]) -> Cut | None:
        """Give its owner what is known of a notebook's cells."""
        recent = self.of(notebook_id)
        return recent.cut if recent and recent.owner == owner else None

    def remember(self, notebook_id: str, recent: Recent) -> None:
        """Have this known, and what was remembered longest ago forgotten where it takes too much room."""
        before = self._whole.pop(notebook_id, None)
        self._held += recent.size - (before.size if before else 0)
        self._whole[notebook_id] = recent
        while self._held > self._most or len(self._whole) > _NOTEBOOKS:
            oldest, left = self._whole.popitem(last=False)
            self._held -= left.size
            self._hashes[oldest] = replace(left, cut=left.cut.without_texts(), size=0)
            self._hashes.move_to_end(oldest)
        while len(self._hashes) > _NOTEBOOKS:
            self._hashes.popitem(last=False)
