"""What a notebook's history should be, in plain Python: the model that the store is held against."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from inset.documents import Document
from inset.models import Notebook, Version
from inset.retention import Policy


@dataclass(eq=False)
class Saved:
    """A version, as whoever saved it remembers it."""

    number: int
    parent: int | None
    document: Document
    origin: str
    author: str
    aside: str | None
    merged: int | None = None
    label: str | None = None
    aged: datetime | None = None
    """When it was made, once a test has moved that into the past; None: just now."""


@dataclass(eq=False)
class History:
    """One notebook's versions, the counter that numbers them, and which of them a reader gets."""

    id: str
    host_id: str
    current: int = 0
    last: int = 0
    deleted: bool = False
    versions: dict[int, Saved] = field(default_factory=dict)

    def save(
        self, document: Document, *, base: int, origin: str, author: str, unanswered: Collection[str] = ()
    ) -> tuple[Saved, bool]:
        """Do what a save should do. Gives the version that then holds the document, and whether it is a new one."""
        own = [each for each in self.versions.values() if each.author == author and each.number > base]
        base = max((each.number for each in own if each.document.sha256 in unanswered), default=base)
        below = self.versions.get(base)
        same = [each for each in self.versions.values() if each.document.content == document.content]
        same = [each for each in same if each.number in (self.current, base) or each.parent == base]
        known = max(same, key=lambda each: each.number, default=None)
        if below and below.aside == "open" and known is not below:
            below.aside = "settled"  # the newest of a line beside the notebook's own waits, and no other
        if known:
            if (origin, known.origin) == ("save", "autosave"):
                known.origin = "save"
            return known, False
        self.last += 1
        made = Saved(self.last, base or None, document, origin, author, None if base == self.current else "open")
        self.versions[made.number] = made
        if made.aside is None:
            self.current = made.number
        return made, True

    def newest_beside(self, number: int) -> Saved:
        """Find what was saved last on top of a version on the side."""
        line = [self.versions[number]]
        for each in sorted(self.versions.values(), key=lambda each: each.number):
            if each.aside and each.parent in [one.number for one in line]:
                line.append(each)
        return line[-1]

    def take(self, kept: Saved, document: Document | None, *, origin: str, author: str) -> Saved:
        """Settle a version on the side, for a document that then is current, or for what is current already."""
        kept.aside = "settled"
        if document is None:
            return self.versions[self.current]
        made, created = self.save(document, base=self.current, origin=origin, author=author)
        if created:
            made.merged = kept.number
        return made

    def thin(self, policy: Policy, time: datetime) -> set[int]:
        """Do what retention should do; gives the numbers that go."""
        stay = {1, self.current, *self._merge_bases()}
        many = [each for each in self.versions.values() if each.origin == "autosave" and each.number not in stay]
        many = [each for each in many if each.label is None and each.aside != "open"]
        going = {
            each.number
            for each in many
            for other in many
            if each.number < other.number and each.aside == other.aside and _of_one_time(each, other, policy, time)
        }
        for number in going:
            del self.versions[number]
        return going

    def rows(self) -> list[tuple[object, ...]]:
        """Say what the database should hold, as `rows_of` reads it."""
        return [
            (
                *(each.number, each.parent, each.document.sha256, each.document.size, each.document.valid),
                *(each.origin, each.author, each.aside, each.merged, each.label),
            )
            for _, each in sorted(self.versions.items())
        ]

    def _merge_bases(self) -> set[int | None]:
        needed: set[int | None] = set()
        for side in self.versions.values():
            below: Saved | None = side if side.aside == "open" else None
            while below and below.aside:
                needed.add(below.parent)
                below = self.versions.get(below.parent or 0)
        return needed


def rows_of(versions: Collection[Version]) -> list[tuple[object, ...]]:
    """Say what the database holds."""
    return [
        (
            *(each.number, each.parent, each.sha256, each.size, each.valid),
            *(each.origin, each.author, each.aside, each.merged, each.label),
        )
        for each in sorted(versions, key=lambda each: each.number)
    ]


def described(notebook: Notebook) -> tuple[int, int, bool]:
    """Say where a notebook's history is."""
    return notebook.current, notebook.last_number, notebook.deleted_at is not None


def _of_one_time(one: Saved, other: Saved, policy: Policy, time: datetime) -> bool:
    """Tell whether two versions are of a day, or of a minute, of which one is enough."""
    if one.aged is None or other.aged is None:
        return False
    if one.aged.date() == other.aged.date() and _over(one.aged, timedelta(days=1), time - policy.by_day_after):
        return True
    minutes = [each.aged.replace(second=0, microsecond=0) for each in (one, other) if each.aged]
    return minutes[0] == minutes[1] and _over(one.aged, timedelta(minutes=1), time - policy.by_minute_after)


def _over(moment: datetime, span: timedelta, before: datetime) -> bool:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    begin = midnight if span >= timedelta(days=1) else moment.replace(second=0, microsecond=0)
    return begin + span <= before
