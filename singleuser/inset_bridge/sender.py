"""Sends what the journal owes to the service, until it lands."""

import asyncio
import hashlib
import logging
import random
import time

from inset_bridge.errors import (
    NotebookTooLarge,
    RefusedByService,
    ServiceUnavailable,
    UnreadableFile,
    VersionConflict,
)
from inset_bridge.files import Files, stem
from inset_bridge.journal import Document, Journal
from inset_bridge.service import Service

DELIVERED_WITHIN = 2.0
"""Seconds that a save may wait for the service before it is answered without it. Jupyter's autosave then pauses for ten
times as long as a save took."""
AGAIN = 0.3
"""Seconds after which such a save tries again."""
PAUSE = 0.2
"""Seconds between a wake and its send: what comes together is one, as a new notebook and its name."""
LONGEST_WAIT = 60.0
"""Seconds between two tries, at most."""


class Sender:
    """Newest wins, nothing is skipped: reads a file when it sends it, and owes it until the service acknowledged.

    A `read_only` one owes nothing: where the user may not edit, a kernel may still have written into the file.
    """

    def __init__(
        self, service: Service, journal: Journal, files: Files, *, log: logging.Logger, read_only: bool = False
    ) -> None:
        self._service = service
        self._journal = journal
        self._files = files
        self._log = log
        self._read_only = read_only
        self._wake = asyncio.Event()
        self._away = False
        """Whether the last try to send did not reach the service; the next one is `run`'s."""
        self._late: set[Document] = set()
        """Those whose delivery goes on although their save was answered."""
        self._deliveries: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Serve the journal for ever: what no save has waited for, and again with back-off while something is owed."""
        failures = 0
        while True:
            await self._woken(within=_back_off(failures) if failures else None)
            self._wake.clear()
            await asyncio.sleep(PAUSE)
            self._away = not await self._send_all("autosave")
            failures = failures + 1 if self._journal.owed() else 0

    async def deliver(self, document: Document, origin: str) -> None:
        """Give the service what was just saved, before the save is answered. Never fails: else it is owed, as ever.

        A save waits for `DELIVERED_WITHIN` at most, and not at all while the service is known not to answer.
        """
        if self._away or document in self._late:
            self.wake()
            return
        delivery = asyncio.create_task(self._deliver(document, origin))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)
        # Not broken off after that time: a large notebook would never get through.
        _, late = await asyncio.wait({delivery}, timeout=DELIVERED_WITHIN)
        if late:
            self._late.add(document)

    async def finish(self, *, within: float) -> None:
        """Send everything before the server ends; what can't be sent in `within` seconds stays in the journal.

        Saves that wait for their delivery are answered then.
        """
        if self._read_only:
            return
        for document in self._journal:
            # Looks at each file: a kernel may have written one without an event.
            document.saved = True
        try:
            async with asyncio.timeout(within):
                while not await self._send_all("stop"):
                    await asyncio.sleep(0.5)
        except TimeoutError:
            pass
        for delivery in self._deliveries:
            delivery.cancel()
        if owed := [document.path for document in self._journal.owed()]:
            self._log.critical("Not sent to the service before the end: %s", ", ".join(owed))

    async def send(self, document: Document, origin: str) -> None:
        """Bring the service up to the file as it is now, after a send that is under way. Raises BridgeError."""
        if self._read_only:
            return
        async with document.lock:
            try:
                await self._send_content(document, origin)
                await self._send_unwritten(document)
            finally:
                self._journal.write()

    async def keep(self, document: Document, content: bytes, *, base: int) -> str:
        """Have the service keep what one page holds beside what another has saved; gives the hash of the bytes."""
        digest = hashlib.sha256(content).hexdigest()
        async with document.lock:
            try:
                stored = await self._service.put_content(document.notebook_id, content, base=base, origin="save")
                document.know(digest, stored.version)
            except VersionConflict as exc:
                document.know(digest, exc.kept_version)
            document.apart = True
            self._journal.write()
        return digest

    async def _woken(self, *, within: float | None) -> None:
        try:
            async with asyncio.timeout(within):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _deliver(self, document: Document, origin: str) -> None:
        give_up = time.monotonic() + DELIVERED_WITHIN - AGAIN
        try:
            while not await self._reached(document, origin):
                if time.monotonic() > give_up:
                    self._away = True
                    break
                await asyncio.sleep(AGAIN)
        finally:
            self._late.discard(document)
            if document.owed:
                self.wake()

    async def _send_all(self, origin: str) -> bool:
        """Try each once; whether the service could be reached."""
        for document in self._journal.owed():
            if not await self._reached(document, origin):
                return False
        return True

    async def _reached(self, document: Document, origin: str) -> bool:
        """Try once; whether the service could be reached, whatever it said."""
        try:
            await self.send(document, origin)
            await self._send_path(document)
        except VersionConflict as exc:
            document.untold = exc.with_traceback(None)  # which holds the content
            self._log.warning("%s was saved by someone else; both versions are kept", document.path)
        except NotebookTooLarge as exc:
            document.untold = exc.with_traceback(None)  # which holds the content
            self._log.error("%s is too large for the service; not sent", document.path)
        except UnreadableFile:
            self._log.error("%s can't be read; not sent", document.path)
        except RefusedByService as exc:
            self._log.error("%s was refused by the service: %s", document.path, exc.slug)
        except ServiceUnavailable:
            self._log.warning("The service can't be reached; %s waits in the journal", document.path)
            return False
        except Exception:
            # The others are sent all the same, and this one is tried again. %r: no log may be able to hold its name.
            self._log.exception("%r could not be sent; it waits in the journal", document.path)
        return True

    async def _send_content(self, document: Document, origin: str) -> None:
        path, saves = document.path, document.saves
        content = await self._files.read(path)
        if content is None:
            self._gone(document, path)
            return
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        untold, document.untold = document.untold, None
        if untold is not None and untold.sha256 == digest:
            document.saved = document.saves != saves
            raise untold
        try:
            if not document.notebook_id:
                created = await self._service.create(content, name=stem(path), key=document.key)
                document.notebook_id = created.notebook_id
                document.version, document.sha256 = created.version, created.sha256
                document.receipt = created.receipt
                document.renamed = document.path != path
            elif digest != document.sent or (origin == "save" and document.autosaved and not document.disk_full):
                unanswered = document.sending(digest)
                # Before it is sent: after a crash nobody else would know.
                self._journal.write()
                stored = await self._service.put_content(
                    document.notebook_id, content, base=document.version, origin=origin, unanswered=unanswered
                )
                document.version, document.sha256, document.unanswered = stored.version, stored.sha256, []
                document.receipt = stored.receipt
                document.autosaved = origin == "autosave"
        except VersionConflict as exc:
            # Later saves stay on the side that was opened here.
            document.version, document.sha256, document.unanswered = exc.kept_version, digest, []
            document.receipt = ""
            document.sent, document.saved = digest, document.saves != saves
            document.know(digest, exc.kept_version)
            exc.sha256 = exc.extra["sha256"] = digest
            raise
        except NotebookTooLarge as exc:
            # Trying again would change nothing; a later save may be smaller.
            document.saved = document.saves != saves
            exc.sha256 = digest
            raise
        document.sent, document.saved = digest, document.saves != saves
        document.know(digest, document.version)

    async def _send_unwritten(self, document: Document) -> None:
        """Send what is newer than the file; the file's next save is based on it."""
        content = document.unwritten
        if content is None:
            return
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        unanswered = document.sending(digest)
        try:
            stored = await self._service.put_content(
                document.notebook_id, content, base=document.version, origin="autosave", unanswered=unanswered
            )
        except (VersionConflict, NotebookTooLarge) as exc:
            document.settle(content)
            if isinstance(exc, VersionConflict):
                document.version, document.sha256, document.receipt = exc.kept_version, digest, ""
                document.unanswered = []
            raise
        document.settle(content)
        document.version, document.sha256, document.receipt = stored.version, stored.sha256, stored.receipt
        document.unanswered, document.autosaved = [], True
        document.know(digest, document.version)

    async def _send_path(self, document: Document) -> None:
        if document.renamed and document.notebook_id:
            path = document.path
            await self._service.rename(document.notebook_id, path)
            document.renamed = document.path != path
            self._journal.write()

    def _gone(self, document: Document, path: str) -> None:
        """Deleted in Jupyter, which deletes nothing stored; or moved a moment ago, then the next try finds it."""
        if document.path == path:
            document.saved = False
            if not document.notebook_id:
                self._journal.discard(document)


def _back_off(failures: int) -> float:
    """Half a second, doubling, with jitter so that servers do not return in step after an outage."""
    return min(LONGEST_WAIT, 0.5 * 2.0 ** min(failures - 1, 10)) * random.uniform(0.7, 1.0)
