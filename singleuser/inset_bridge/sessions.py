"""Jupyter's own sessions: a notebook's path, and the kernel that runs for it."""

import asyncio
import json
from typing import Any

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_server.services.sessions.sessionmanager import ModelName, SessionManager

from inset_bridge.credentials import Credentials
from inset_bridge.files import Files

_TRY_AGAIN_MILLISECONDS = 10
_PATIENCE_SECONDS = 5.0
"""For how long a start that hangs holds others up; it takes some 20 ms."""


class NotebookSessions(SessionManager):
    """Kernels are told where their notebook's credentials are, and may start before its page asks for one."""

    credentials: Credentials | None = None

    def __init__(self, *args: Any, **traits: Any) -> None:
        super().__init__(*args, **traits)  # type: ignore[no-untyped-call]
        self._starting: dict[str, asyncio.Task[None]] = {}
        """By path."""
        # A kernel listens some 200 ms after its start. Until then connections are refused, and zmq tries again after
        # 100 ms; Jupyter, which has missed the kernel's first word by then, asks for another after 500.
        self._kernels: Any = self.kernel_manager  # its methods have no types
        self._kernels.context.reconnect_ivl = _TRY_AGAIN_MILLISECONDS

    def get_kernel_env(self, path: str | None, name: ModelName | None = None) -> dict[str, str]:
        """Called for every kernel that is started for a notebook."""
        told = self.credentials.environment(path or "", name or "") if self.credentials else {}
        return {**super().get_kernel_env(path, name), **told}

    def start(self, path: str, files: Files) -> None:
        """Begin to start the kernel that a notebook names, so that its page finds one that runs.

        Nothing is started for a notebook that has one, or that names none which is there: its page asks the user.
        """
        if path not in self._starting:
            self._starting[path] = asyncio.create_task(self._start(path, files))
            self._starting[path].add_done_callback(lambda _: self._starting.pop(path))

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
        await self._started(*self._starting)
        sessions: list[dict[str, Any]] = await self._jupyters.list_sessions()
        return sessions

    async def session_exists(self, path: str) -> bool:
        await self._started(path)
        return bool(await self._jupyters.session_exists(path))

    async def finish(self) -> None:
        """Let what is just being started start: what is broken off in the middle would not be ended with the rest."""
        await self._started(*self._starting)

    async def _start(self, path: str, files: Files) -> None:
        try:
            if await self._jupyters.session_exists(path):
                return
            if named := await asyncio.to_thread(kernel_name, await files.read(path) or b""):
                # Asked before, for Jupyter has two tracebacks for a kernel that it was to start and that is not there.
                self._kernels.kernel_spec_manager.get_kernel_spec(named)
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

    async def _started(self, *paths: str) -> None:
        if starting := [self._starting[path] for path in paths if path in self._starting]:
            await asyncio.wait(starting, timeout=_PATIENCE_SECONDS)

    async def _at(self, path: str) -> list[dict[str, Any]]:
        return [session for session in await self.list_sessions() if session["path"] == path]


def kernel_name(content: bytes) -> str | None:
    """Give the kernel that a notebook names; empty if it names none, None if it can't be read."""
    try:
        kernelspec = json.loads(content)["metadata"].get("kernelspec", {})
        return str(kernelspec.get("name", ""))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
