"""What the end of a session takes from its browsers: their way in, and the websockets that they hold open."""

from collections.abc import Collection

from inset_bridge.entries import Entries
from inset_bridge.journal import Journal
from inset_bridge.sessions import NotebookSessions
from inset_bridge.sockets import Sockets


class Frames:
    """The frames of this server's sessions. One browser may show several, with one entry."""

    def __init__(self, entries: Entries, sockets: Sockets, journal: Journal, sessions: NotebookSessions) -> None:
        self._entries = entries
        self._sockets = sockets
        self._journal = journal
        self._sessions = sessions

    async def cut(self, session_id: str) -> None:
        """Let a session's browsers out, and never in again."""
        notebook_id = self._entries.end(session_id)
        self._sockets.close_ended()
        # An entry that holds for another session has the same cookie: this one's kernels are known by their notebook.
        document = self._journal.of(notebook_id) if notebook_id else None
        if document:
            self._sockets.close_kernels(await self._sessions.kernels_at(document.path))

    async def cut_notebook(self, notebook_id: str) -> None:
        """Let everybody out of a notebook whose session is being ended."""
        for session_id in self._entries.sessions(of_notebook=notebook_id):
            await self.cut(session_id)

    async def keep(self, session_ids: Collection[str], *, asked_at: float) -> None:
        """Cut every other session. One that entered after the service was asked is newer than its answer."""
        for session_id in self._entries.sessions(before=asked_at):
            if session_id not in session_ids:
                await self.cut(session_id)
