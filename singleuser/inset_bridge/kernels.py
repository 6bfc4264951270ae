"""Which kernels run for a notebook."""

from typing import Any

from jupyter_server.services.sessions.sessionmanager import SessionManager


class Kernels:
    """Jupyter's own sessions (a path and its kernel), by path."""

    def __init__(self, sessions: SessionManager) -> None:
        self._sessions: Any = sessions  # its methods have no types

    async def shut_down(self, path: str) -> list[str]:
        """End the notebook's kernels and return their ids."""
        ended = await self._running(path)
        for session in ended:
            await self._sessions.delete_session(session["id"])
        return [session["kernel"]["id"] for session in ended]

    async def at(self, path: str) -> list[str]:
        """The ids of the notebook's kernels."""
        return [session["kernel"]["id"] for session in await self._running(path)]

    async def _running(self, path: str) -> list[dict[str, Any]]:
        return [session for session in await self._sessions.list_sessions() if session["path"] == path]
