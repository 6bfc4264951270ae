"""The data credentials of this server's sessions, in files that their kernels read.

A file for each notebook, of mode 0600 in a folder of mode 0700, which is in memory where the system has such a place.
The kernels' environment names the file and holds no credential; the file is replaced when the host refreshes one, and
goes with the session. Kernels of one server have one account: they could read each other's, which are the same user's.
"""

import asyncio
import json
import logging
import os
import re
import shutil
import tempfile
from pathlib import Path

from inset_bridge.errors import RefusedByService, ServiceUnavailable
from inset_bridge.journal import Journal
from inset_bridge.service import Service, SessionCredentials

VARIABLE = "INSET_CREDENTIALS"
"""Names a kernel's file, which is there only if it has credentials: `{"<name>": {"value": "…", "expires_at": "…"}}`."""
FETCH_WITHIN = 10.0
"""Seconds for which the load of a notebook waits for its credentials."""
IN_MEMORY = Path("/dev/shm")
_NOTEBOOK_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Credentials:
    def __init__(self, service: Service, folder: Path, journal: Journal, *, log: logging.Logger) -> None:
        self._service = service
        self._folder = folder
        self._journal = journal
        self._log = log
        self._notebooks: dict[str, str] = {}
        """By session: those of which there is a file."""
        self._names: dict[str, str] = {}
        """By notebook: what its file is called, if not as the notebook."""
        self._fetching = asyncio.Lock()

    async def refresh(self) -> None:
        """Have in the files what the service has now; while it can't be asked they stay as they are.

        Files that can't be written cost the kernels their credentials, and nobody a notebook.
        """
        try:
            async with asyncio.timeout(FETCH_WITHIN), self._fetching:
                self._write(await self._service.data_credentials())
        except (ServiceUnavailable, RefusedByService, TimeoutError) as exc:
            self._log.warning("Data credentials could not be fetched: %s", type(exc).__name__)
        except OSError as exc:
            self._log.error("Data credentials can't be written: %s", exc)

    def forget(self, session_id: str) -> None:
        """Take away what a session had."""
        if notebook_id := self._notebooks.pop(session_id, None):
            self._file(notebook_id).unlink(missing_ok=True)

    def forget_notebook(self, notebook_id: str) -> None:
        """Take away what the session of a notebook had."""
        for session_id, of in list(self._notebooks.items()):
            if of == notebook_id:
                self.forget(session_id)

    def clear(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def environment(self, path: str, name: str) -> dict[str, str]:
        """What the kernels of the notebook at this path are told.

        A page has its first kernel started for a path that it has made up, beside the notebook whose name it gives.
        """
        document = self._journal.at(path) or self._journal.at(f"{path.rpartition('/')[0]}/{name}")
        return {VARIABLE: str(self._file(document.notebook_id))} if document and document.notebook_id else {}

    def variable(self, name: str) -> dict[str, str]:
        """What a kernel is told of which nobody knows yet whose it will be."""
        return {VARIABLE: str(self._folder / f"{name}.json")}

    def are_read_as(self, notebook_id: str, name: str) -> None:
        """Have a notebook's credentials where its kernel was told that they would be."""
        self._names[notebook_id] = name

    def _write(self, sessions: list[SessionCredentials]) -> None:
        wanted = {
            session.session_id: session
            for session in sessions
            if session.credentials and _NOTEBOOK_ID.fullmatch(session.notebook_id)
        }
        for gone in self._notebooks.keys() - wanted.keys():
            self.forget(gone)
        # A kernel may have removed it: it is its user's.
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for session in wanted.values():
            self._notebooks[session.session_id] = session.notebook_id
            _replace(self._file(session.notebook_id), json.dumps(session.credentials))

    def _file(self, notebook_id: str) -> Path:
        return self._folder / f"{self._names.get(notebook_id, notebook_id)}.json"


def private_folder(server_id: str) -> Path:
    """Make an empty folder for this server alone. A start after a crash finds what was left, and empties it."""
    base = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    if not server_id:
        return Path(tempfile.mkdtemp(prefix="inset-", dir=base))
    folder = base / f"inset-{server_id}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def _replace(file: Path, text: str) -> None:
    """At once: a kernel reads the old ones or the new ones."""
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as private:
        private.write(text)
    part.replace(file)
