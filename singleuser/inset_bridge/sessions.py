"""Jupyter's own sessions: a notebook's path, and the kernel that runs for it."""

import asyncio
import json
from typing import Any

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_server.services.sessions.sessionmanager import ModelName, SessionManager

from inset_bridge.credentials import Credentials
from inset_bridge.files import Files

_TRY_AGAIN_MILLISECONDS = 10


class NotebookSessions(SessionManager):
    """Kernels are told where their notebook's credentials are, and may start before its page asks for one."""

    credentials: Credentials | None = None

    def __init__(self, *args: Any, **traits: Any) -> None:
        super().__init__(*args, **traits)  # type: ignore[no-untyped-call]
        self._starting: set[asyncio.Task[None]] = set()
        # A kernel listens some 200 ms after its start. Until then connections are refused, and zmq tries again after
        # 100 ms; Jupyter, which has missed the kernel's first word by then, asks for another after 500.
        kernels: Any = self.kernel_manager
        kernels.context.reconnect_ivl = _TRY_AGAIN_MILLISECONDS

    def get_kernel_env(self, path: str | None, name: ModelName | None = None) -> dict[str, str]:
        """Called for every kernel that is started for a notebook."""
        told = self.credentials.environment(path or "", name or "") if self.credentials else {}
        return {**super().get_kernel_env(path, name), **told}

    def start(self, path: str, files: Files) -> None:
        """Begin to start the kernel that a notebook names, so that its page finds one that runs.

        Nothing is started for a notebook that has one, or that names none which is there: its page asks the user.
        """
        starting = asyncio.create_task(self._start(path, files))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)

    async def shut_down(self, path: str) -> list[str]:
        """End the notebook's kernels and return their ids."""
        ended = await self._at(path)
        for session in ended:
            await self._jupyters.delete_session(session["id"])
        return [session["kernel"]["id"] for session in ended]

    async def kernels_at(self, path: str) -> list[str]:
        """The ids of the notebook's kernels."""
        return [session["kernel"]["id"] for session in await self._at(path)]

    async def list_sessions(self) -> list[dict[str, Any]]:
        """All of them, with what is just being started: a page that finds none for its notebook starts another one."""
        await self._started()
        sessions: list[dict[str, Any]] = await self._jupyters.list_sessions()
        return sessions

    async def session_exists(self, path: str) -> bool:
        await self._started()
        return bool(await self._jupyters.session_exists(path))

    async def finish(self) -> None:
        """Let what is just being started start: what is broken off in the middle would not be ended with the rest."""
        await self._started()

    async def _start(self, path: str, files: Files) -> None:
        try:
            if await self._jupyters.session_exists(path):
                return
            if named := await asyncio.to_thread(kernel_name, await files.read(path) or b""):
                await self._jupyters.create_session(path, path.rpartition("/")[2], "notebook", named)
        except NoSuchKernel:
            self.log.info("A notebook names a kernel that is not installed")
        except Exception:
            # Whatever a kernel stumbles over: the notebook's page starts one, and shows what is wrong.
            self.log.exception("A notebook's kernel could not be started")

    @property
    def _jupyters(self) -> Any:
        """What does not wait for a start; its methods have no types."""
        return super()

    async def _started(self) -> None:
        if self._starting:
            await asyncio.wait(self._starting)

    async def _at(self, path: str) -> list[dict[str, Any]]:
        return [session for session in await self.list_sessions() if session["path"] == path]


def kernel_name(content: bytes) -> str | None:
    """Give the kernel that a notebook names; empty if it names none, None if it can't be read."""
    try:
        kernelspec = json.loads(content)["metadata"].get("kernelspec", {})
        return str(kernelspec.get("name", ""))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
