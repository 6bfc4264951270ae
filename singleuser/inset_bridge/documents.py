"""The verbs: what happens to a notebook when the service, a page or Jupyter itself asks."""

import hashlib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from inset_bridge.credentials import Credentials
from inset_bridge.errors import DiskFull, UnknownDocument, VersionConflict
from inset_bridge.files import Files, is_notebook
from inset_bridge.frames import Frames
from inset_bridge.journal import Document, Journal
from inset_bridge.kernel_ahead import KernelAhead
from inset_bridge.page_saves import PageSaves
from inset_bridge.pages import Pages
from inset_bridge.sender import Sender
from inset_bridge.sessions import NotebookSessions
from inset_bridge.sockets import Sockets


@dataclass(frozen=True)
class Flushed:
    """What the service holds after a flush."""

    version: int
    sha256: str
    flushed: bool
    """False if a page that shows the notebook did not answer: it may hold edits that are not in this version."""
    path: str
    receipt: str
    """The service's signed proof of that version; empty for one that was loaded and not sent."""
    disk_full: bool = False
    """Whether the page's last save found no room in its file, and that version is ahead of it."""


class Documents:
    """The notebooks of this server."""

    def __init__(
        self,
        journal: Journal,
        files: Files,
        sender: Sender,
        pages: Pages,
        sessions: NotebookSessions,
        sockets: Sockets,
        frames: Frames,
        credentials: Credentials,
        kernel_ahead: KernelAhead,
        page_saves: PageSaves,
        *,
        may_run: bool,
    ) -> None:
        self._journal = journal
        self._files = files
        self._sender = sender
        self._pages = pages
        self._sessions = sessions
        self._sockets = sockets
        self._frames = frames
        self._credentials = credentials
        self._kernel_ahead = kernel_ahead
        self._page_saves = page_saves
        self._may_run = may_run

    async def load(self, notebook_id: str, *, path: str, version: int, sha256: str, content: bytes) -> str:
        """Put a stored version into its file, and tell open pages if they show another one.

        Returns the path, which is another one if the file was renamed here. Doing it twice is doing it once: edits made
        after the first time are based on this version and stay.
        """
        document = self._journal.of(notebook_id)
        if document is None:
            await self._kernel_ahead.give(notebook_id, path, content)
            document = Document(path, notebook_id)
            self._journal.add(document)
        else:
            await self._send_file(document)
        async with document.lock:
            document.attached = True
            held, apart = document.version, document.apart
            if held != version or not self._files.exists(document.path):
                self._files.write(document.path, content)
                document.version, document.sha256, document.receipt = version, sha256, ""
                document.unanswered = []
                document.sent, document.autosaved = hashlib.sha256(content).hexdigest(), False
                document.know(document.sent, version)
            document.apart = False
            self._journal.write()
        if apart or held not in (0, version):
            self._pages.tell_to_load(document.path, version)
        # Before the service calls the session ready: its first kernel is to find them.
        await self._credentials.refresh()
        return document.path

    def opened(self, notebook_id: str) -> None:
        """Start the kernel of a notebook whose page a browser is about to load: by then it runs."""
        document = self._journal.of(notebook_id)
        if self._may_run and document and document.attached:
            self._sessions.start(document.path, self._files)

    async def flush(self, path: str, *, origin: str, ask_page: bool) -> Flushed:
        """Send the newest content now; with `ask_page`, after the page saved what it has not saved yet."""
        document = self._journal.at(path)
        if document is None or not document.attached:
            raise UnknownDocument
        answered = await self._pages.ask_to_save(path) if ask_page else True
        await self._sender.send(document, origin)
        return _flushed(document, answered)

    async def unwritten(self, path: str, content: bytes) -> bool:
        """Send to the service what the disk has no room for; tells whether it is there. Else it is tried again."""
        document = self._journal.at(path)
        if document is None or not document.notebook_id:
            return False
        self._files.mend(path)
        document.unwritten, document.disk_full = content, True
        self._sender.wake()
        with suppress(VersionConflict):  # kept on the side
            await self._sender.send(document, "autosave")
        return document.unwritten is None

    async def keep(self, path: str, content: bytes, *, based_on: str) -> str:
        """Keep what a page holds and can't save, for another page saved the file meanwhile; gives its bytes' hash.

        `based_on` is the hash of what the page began with. Raises UnknownDocument where nobody knows that here.
        """
        document = self._journal.at(path)
        if document is None or not document.attached or based_on not in document.versions:
            raise UnknownDocument
        # First what the other page saved: the service would else take this for the newer one of the two.
        await self._send_file(document)
        return await self._sender.keep(document, content, base=document.versions[based_on])

    async def leave(self, path: str, content: bytes, *, based_on: str, unanswered: Collection[str] = ()) -> None:
        """Take the last edits of a page that is gone: into the file, or beside it if the file is another by now.

        `based_on` is the hash of what the page began with; one of its saves that were `unanswered` may have replaced
        that. Raises UnknownDocument where nobody knows that here.
        """
        document = self._journal.at(path)
        if document is None or not document.attached:
            raise UnknownDocument
        try:
            replaced = await self._replace(path, content, based_on, unanswered)
        except DiskFull:
            await self.unwritten(path, content)
            return
        if replaced:
            await self.saved(path, "autosave")
        else:
            await self.keep(path, content, based_on=based_on)

    async def detach(self, notebook_id: str, *, ask_page: bool) -> Flushed:
        """Let a notebook's browsers out, with `ask_page` after they saved; then flush it and end its kernels.

        The caller knows of a conflict already.
        """
        document = self._journal.of(notebook_id)
        if document is None or not document.attached:
            raise UnknownDocument
        answered = await self._pages.ask_to_save(document.path) if ask_page else True
        self._credentials.forget_notebook(notebook_id)
        # Before what may take longer, or has to be tried again: the service may be away, a kernel stubborn.
        await self._frames.cut_notebook(notebook_id)
        with suppress(VersionConflict):  # the document is then at the version that was kept
            await self._sender.send(document, "stop")
        document.attached = False
        self._journal.write()
        # Again, since a page that was cut tries to come back at once, and another session's cookie may let it.
        self._sockets.close_kernels(await self._sessions.shut_down(document.path))
        return _flushed(document, answered)

    async def saved(self, path: str, origin: str) -> None:
        """Note a save and give it to the service, if it is there; a notebook that is new here becomes a stored one."""
        document = self._journal.at(path)
        if document is None:
            if not is_notebook(path):
                return
            document = Document(path)
            self._journal.add(document)
        document.saved = True
        document.unwritten, document.disk_full = None, False
        document.saves += 1
        self._journal.write()
        await self._sender.deliver(document, origin)

    def renamed(self, old: str, new: str) -> None:
        """Follow a file, or a folder of files; a file's new name becomes the stored notebook's."""
        for document in self._journal:
            if document.path == old or document.path.startswith(old + "/"):
                self._journal.move(document, new + document.path.removeprefix(old))
                document.renamed = True
        self._journal.write()
        self._sender.wake()

    async def _replace(self, path: str, content: bytes, based_on: str, unanswered: Collection[str]) -> bool:
        """Write what a page holds into its file if that is still the page's own. Raises DiskFull."""
        async with self._page_saves.turn(path):
            held = await self._files.read(path)
            digest = "" if held is None else hashlib.sha256(held).hexdigest()
            its_own = digest == based_on or self._page_saves.wrote(path, digest, unanswered)
            if its_own:
                self._files.write(path, content)
            return its_own

    async def _send_file(self, document: Document) -> None:
        """What was saved here is kept by the service before something else takes its place, on the side if it must."""
        with suppress(VersionConflict):
            await self._sender.send(document, "autosave")


def _flushed(document: Document, answered: bool) -> Flushed:
    return Flushed(
        document.version, document.sha256, answered, document.path, document.receipt, disk_full=document.disk_full
    )
