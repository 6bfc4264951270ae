"""Who was let in: browsers by a random id, each with the hub tokens of the sessions it entered with.

Hub tokens stay here, in memory. A browser holds an id in a cookie, or a capability where cookies are refused; neither
is of any use at the hub or at another server.
"""

import secrets
import time
from dataclasses import dataclass, field

from inset_bridge.errors import TicketRefused
from inset_bridge.service import Redeemed

CODE_LIFETIME = 60.0
RENEWABLE_FOR = 7 * 86400.0
"""Seconds for which an entry that has run out is kept: a laptop may sleep, and its page is then let in again."""
CAPABILITY = "cap."
"""How a capability begins: no hub token does."""


@dataclass(frozen=True)
class Grant:
    """What one redeemed ticket gave."""

    notebook_id: str
    hub_token: str = field(repr=False)
    expires_at: float
    since: float = field(default_factory=time.monotonic)


@dataclass(eq=False)
class Entry:
    """One browser's way in. It holds while one of its sessions does: two frames of one page share it."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    capability: str = field(default_factory=lambda: CAPABILITY + secrets.token_urlsafe(32), repr=False)
    grants: dict[str, Grant] = field(default_factory=dict, repr=False)
    """By session id."""
    partitioned: bool = False
    """Whether the browser keeps its cookie in a partition, as the entry page found out."""

    @property
    def live(self) -> bool:
        return self.hub_token is not None

    @property
    def hub_token(self) -> str | None:
        now = time.monotonic()
        return next((grant.hub_token for grant in reversed(self.grants.values()) if grant.expires_at > now), None)

    @property
    def expires_in(self) -> float:
        """Seconds until the newest grant ends, below zero after that."""
        return max((grant.expires_at for grant in self.grants.values()), default=0.0) - time.monotonic()

    @property
    def kept(self) -> bool:
        """Whether a new ticket can bring it back to life."""
        return bool(self.grants) and self.expires_in > -RENEWABLE_FOR


class Entries:
    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._codes: dict[str, tuple[Entry, float]] = {}
        self._over: set[str] = set()
        """Sessions that ended: what was redeemed for one just before must not let anybody in just after."""

    def admit(self, redeemed: Redeemed, entry: Entry | None) -> Entry:
        """Add a session to the browser's own entry, or make one. Raises TicketRefused if it has ended meanwhile."""
        if redeemed.session_id in self._over:
            raise TicketRefused("session-over")
        self._drop_ended()
        entry = entry or Entry()
        entry.grants.pop(redeemed.session_id, None)
        entry.grants[redeemed.session_id] = Grant(
            redeemed.notebook_id, redeemed.hub_token, time.monotonic() + redeemed.expires_in
        )
        self._entries[entry.id] = entry
        return entry

    def by_id(self, id: str) -> Entry | None:
        entry = self._entries.get(id)
        return entry if entry and entry.live else None

    def known(self, id: str, capability: str) -> Entry | None:
        """Find a browser's entry by either, also one that has run out: with a new ticket it goes on as it was."""
        for entry in self._entries.values():
            if _same(entry.id, id) or _same(entry.capability, capability):
                return entry if entry.kept else None
        return None

    def by_capability(self, capability: str) -> Entry | None:
        for entry in self._entries.values():
            if entry.live and _same(entry.capability, capability):
                return entry
        return None

    def sessions(self, *, of_notebook: str | None = None, before: float | None = None) -> set[str]:
        """The sessions that somebody entered with: all, those of one notebook, or those of before a moment."""
        return {
            session_id
            for entry in self._entries.values()
            for session_id, grant in entry.grants.items()
            if of_notebook in (None, grant.notebook_id) and (before is None or grant.since < before)
        }

    def end(self, session_id: str) -> str | None:
        """Take back what was given for a session; tells of which notebook, if anybody had entered."""
        self._over.add(session_id)
        taken = [entry.grants.pop(session_id, None) for entry in self._entries.values()]
        self._drop_ended()
        return next((grant.notebook_id for grant in taken if grant), None)

    def code_for(self, entry: Entry) -> str:
        """A code that opens one page without a cookie, once, within a minute."""
        code = secrets.token_urlsafe(32)
        self._codes[code] = (entry, time.monotonic() + CODE_LIFETIME)
        return code

    def peek(self, code: str) -> Entry | None:
        entry, expires_at = self._codes.get(code, (None, 0.0))
        return entry if entry and entry.live and expires_at > time.monotonic() else None

    def spend(self, code: str) -> Entry | None:
        entry = self.peek(code)
        self._codes.pop(code, None)
        return entry

    def _drop_ended(self) -> None:
        self._entries = {id: entry for id, entry in self._entries.items() if entry.kept}
        self._codes = {code: kept for code, kept in self._codes.items() if self.peek(code)}


def _same(secret: str, given: str) -> bool:
    # As bytes: of text it compares ASCII only, and what is given may be anything.
    return secrets.compare_digest(secret.encode(), given.encode(errors="replace"))
