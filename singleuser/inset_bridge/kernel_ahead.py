"""The kernel that a server which was started ahead has running before anybody opens a notebook there.

The first notebook gets it, as if a page had started it: its working directory is the notebook's folder, for that is
the folder in which it was started, under another name. Whoever needs another kernel has it started as ever.
"""

import asyncio
import logging
import os
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_server.serverapp import ServerApp

from inset_bridge.credentials import Credentials
from inset_bridge.sessions import kernel_name

_FOLDER = ".inset/ahead"
"""Below the root: where it is until it has a notebook."""
_SILENT_SECONDS = 20.0
"""After which a kernel that says nothing is given up."""


class KernelAhead:
    def __init__(self, app: ServerApp, credentials: Credentials, *, log: logging.Logger) -> None:
        self._kernels: Any = app.kernel_manager  # these have no types
        self._sessions: Any = app.session_manager
        self._root = Path(app.contents_manager.root_dir)
        self._credentials = credentials
        self._log = log
        self._starting: asyncio.Task[str | None] | None = None
        self._hearing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to start it."""
        self._starting = asyncio.create_task(self._start())

    async def give(self, notebook_id: str, path: str, content: bytes) -> None:
        """Make it the kernel of a notebook whose file is not there yet, or end it if it would not be the right one.

        Does nothing from the second notebook on.
        """
        starting, self._starting = self._starting, None
        kernel_id = await starting if starting else None
        if kernel_id is None or kernel_id not in self._kernels:
            return
        folder = self._root / PurePosixPath(path).parent
        try:
            if not folder.exists() and await asyncio.to_thread(kernel_name, content) in (
                "",
                self._kernels.default_kernel_name,
            ):
                folder.parent.mkdir(parents=True, exist_ok=True)
                os.rename(self._root / _FOLDER, folder)
                self._attach(kernel_id, path)
                self._credentials.are_read_as(notebook_id, _FOLDER.rpartition("/")[2])
                name = PurePosixPath(path).name
                await self._sessions.create_session(path=path, name=name, type="notebook", kernel_id=kernel_id)
                return
        except OSError as exc:
            self._log.warning("The kernel that was started ahead is of no use: %s", exc)
        await self._kernels.shutdown_kernel(kernel_id)

    def cancel(self) -> None:
        """Stop starting it."""
        for under_way in (self._starting, self._hearing):
            if under_way:
                under_way.cancel()

    async def _start(self) -> str | None:
        try:
            (self._root / _FOLDER).mkdir(parents=True, exist_ok=True)
            environment = {**os.environ, **self._credentials.variable(_FOLDER.rpartition("/")[2])}
            kernel_id = str(await self._kernels.start_kernel(path=_FOLDER, env=environment))
            self._hearing = asyncio.create_task(self._hear(kernel_id))
            return kernel_id
        except Exception:
            # Whatever a kernel stumbles over: the notebook's page starts one, and shows what is wrong.
            self._log.exception("No kernel could be started ahead")
            return None

    async def _hear(self, kernel_id: str) -> None:
        """Wait for the first word of a kernel, as else the first page has to that connects to it."""
        client = self._kernels.get_kernel(kernel_id).client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=_SILENT_SECONDS)
        except RuntimeError as exc:
            self._log.info("The kernel that was started ahead: %s", exc)
        finally:
            client.stop_channels()

    def _attach(self, kernel_id: str, path: str) -> None:
        """Have a restart find what a kernel that was started for this notebook would have."""
        kernel = self._kernels.get_kernel(kernel_id)
        folder, _, name = path.rpartition("/")
        cwd = self._kernels.cwd_for_path(folder)
        kernel._launch_args["cwd"] = cwd
        kernel.update_env(env={"JPY_SESSION_NAME": os.path.join(cwd, name)})
