"""What this server still owes the service, on disk.

One small file names every notebook here: which stored notebook it is, the version it is based on, and whether it was
saved since that was sent. It is a set: ten saves while the service is away are one upload. Contents stay in their own
files. A server that crashes and comes back in the same folder goes on where it was.
"""

import asyncio
import json
import logging
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from inset_bridge.errors import Verdict


@dataclass(eq=False)
class Document:
    """One notebook file and what the service holds of it."""

    path: str
    """As Jupyter's contents API says it. Follows the file when it is renamed."""
    notebook_id: str = ""
    """Empty until the service has made a stored notebook of a new file."""
    version: int = 0
    """The version that the file's content is based on, or is."""
    sha256: str = ""
    """That version's hash, as the service says it."""
    receipt: str = ""
    """The service's signed proof of that version, if it was sent from here."""
    sent: str = ""
    """Hash of the file's bytes when they last were that version."""
    unanswered: list[str] = field(default_factory=list)
    """Hashes of what was sent since then without an answer: what landed of it is what the next one is based on."""
    saved: bool = False
    """Saved since `version` was loaded or sent."""
    renamed: bool = False
    """Its new path is not yet told to the service."""
    attached: bool = True
    """False once its session has ended. Late saves of an open page still go to the same stored notebook."""
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Makes the notebook's creation idempotent."""
    autosaved: bool = False
    """Whether `version` was sent as an autosave: a save that the user asks for then says so of the same content."""
    unwritten: bytes | None = field(default=None, repr=False)
    """What a page wanted to save and the disk had no room for: newer than the file, and still to be sent."""
    disk_full: bool = False
    """Whether the last save found no room."""
    untold: Verdict | None = field(default=None, repr=False)
    """What the service said of a content that it was given before anybody asked: told to who asks next for the same."""
    saves: int = 0
    """Counts saves in this process: tells a sender that another came while it was sending."""
    versions: dict[str, int] = field(default_factory=dict)
    """By the hash of the file's bytes, the versions that they were here: what a page shows is one of these."""
    apart: bool = False
    """Whether a page shows something else than the file, since another page saved it."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """Held while its content is on the way, so that each send is based on the one before."""

    @property
    def owed(self) -> bool:
        return self.saved or self.renamed or self.unwritten is not None

    def sending(self, digest: str) -> list[str]:
        """Note a content that is about to be sent; gives those before it."""
        before = [one for one in self.unanswered if one != digest]
        self.unanswered = [*before, digest][-_UNANSWERED:]
        return before

    def settle(self, unwritten: bytes) -> None:
        """Owe a content no more that had no room in the file, unless another one has come meanwhile."""
        if self.unwritten is unwritten:
            self.unwritten = None

    def know(self, digest: str, version: int) -> None:
        """Note which version some bytes are; the last hundred are enough for the pages that are open."""
        self.versions.pop(digest, None)
        self.versions[digest] = version
        for oldest in list(self.versions)[:-100]:
            del self.versions[oldest]

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _KEPT}


_UNANSWERED = 50
"""With the sender's back-off, those of the last three quarters of an hour."""
_OF_THIS_PROCESS = ("saves", "lock", "unwritten", "disk_full", "untold")
_KEPT = tuple(each.name for each in fields(Document) if each.name not in _OF_THIS_PROCESS)


class Journal:
    """The documents of this server by path. `write()` after every change."""

    def __init__(self, file: Path, *, log: logging.Logger) -> None:
        self._file = file
        self._log = log
        self._documents: dict[str, Document] = {}
        if file.exists():
            for kept in json.loads(file.read_text(encoding="utf-8")):
                self._documents[kept["path"]] = Document(**kept)

    def __iter__(self) -> Iterator[Document]:
        return iter(tuple(self._documents.values()))

    def at(self, path: str) -> Document | None:
        return self._documents.get(path)

    def of(self, notebook_id: str) -> Document | None:
        return next((document for document in self if document.notebook_id == notebook_id), None)

    def owed(self) -> list[Document]:
        return [document for document in self if document.owed]

    def add(self, document: Document) -> None:
        self._documents[document.path] = document

    def discard(self, document: Document) -> None:
        if self._documents.get(document.path) is document:
            del self._documents[document.path]

    def move(self, document: Document, path: str) -> None:
        self.discard(document)
        document.path = path
        self._documents[path] = document

    def write(self) -> None:
        """Replace the file in one step: a crash leaves the old one or the new one."""
        new = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps([document.to_json() for document in self]), encoding="utf-8")
            os.replace(new, self._file)
        except OSError as exc:
            # A full disk costs the protection against a crash, and must not cost the save.
            self._log.error("The journal can't be written: %s", exc)
