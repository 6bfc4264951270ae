"""One user's notebooks and their history."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from inset_client import operations as ops
from inset_client._sync.transport import Transport
from inset_client.content import Content, Document, version_of
from inset_client.models import Notebook, NotebookDiff, NotebookStored, Take, Version, VersionStored
from inset_client.wire import Call


@dataclass(frozen=True)
class ContentStream:
    """A version's bytes while they arrive."""

    version: int
    chunks: Iterator[bytes]


class Notebooks:
    """Create, find, read, replace and compare notebooks.

    Every method raises a `Problem`: `NotebookNotFound` for what is not there or somebody else's, `NotAllowed` where
    the user lacks a capability; or `Unreachable`.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self, name: str, content: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> NotebookStored:
        """Create a notebook: empty, or with an nbformat 4 document as its version 1."""
        body = {"name": name} if content is None else {"name": name, "content": content}
        return self._transport.ask(ops.CREATE_NOTEBOOK, Call(body=body, key=idempotency_key))

    def list(self, *, query: str | None = None) -> Iterator[Notebook]:
        """Give the user's notebooks, newest first: all, or those whose name contains `query`."""
        return self._transport.items(ops.LIST_NOTEBOOKS, Call(query={"q": query}))

    def get(self, id: str) -> Notebook:
        """Describe a notebook."""
        return self._transport.ask(ops.GET_NOTEBOOK, Call(path={"id": id}))

    def rename(self, id: str, name: str) -> Notebook:
        """Rename a notebook. A running session keeps its file's name."""
        return self._transport.ask(ops.RENAME_NOTEBOOK, Call(path={"id": id}, body={"name": name}))

    def delete(self, id: str) -> None:
        """Delete a notebook; for thirty days it can be brought back. Raises `NotebookInUse` while it is open."""
        self._transport.ask(ops.DELETE_NOTEBOOK, Call(path={"id": id}))

    def undelete(self, id: str) -> Notebook:
        """Bring a deleted notebook back."""
        return self._transport.ask(ops.UNDELETE_NOTEBOOK, Call(path={"id": id}))

    def content(self, id: str, version: int | None = None) -> Content:
        """Download a version, the current one if none is named. Raises `VersionNotFound`."""
        answer = self._transport.send(*_content(id, version))
        return Content(version_of(answer), answer.content)

    @contextmanager
    def stream_content(self, id: str, version: int | None = None) -> Iterator[ContentStream]:
        """Download a version piece by piece. A connection that is lost on the way raises httpx's own error."""
        with self._transport.stream(*_content(id, version)) as answer:
            yield ContentStream(version_of(answer), answer.iter_bytes())

    def replace(self, id: str, content: Document, *, base: int) -> NotebookStored:
        """Store a document as the newest version, if `base`, the version it was made from, is still the current one.

        Raises `VersionConflict` if it is not; what was sent is then kept on the side, for `resolve`.
        """
        call = Call(path={"id": id}, headers={"If-Match": f'"{base}"'}, body=content)
        return self._transport.ask(ops.REPLACE_CONTENT, call)

    def preview(self, id: str, version: int | None = None) -> str:
        """Give a version as a static, safe page of HTML. Raises `NotPreviewable`."""
        if version is None:
            return self._transport.ask(ops.GET_PREVIEW, Call(path={"id": id}))
        return self._transport.ask(ops.GET_VERSION_PREVIEW, Call(path={"id": id, "number": version}))

    def diff(self, id: str, old: int, new: int | None = None) -> NotebookDiff:
        """Compare two versions by their cells; `new` left out: the current one."""
        query = {"from": old, "to": new, "format": "json"}
        return self._transport.ask(ops.COMPARE_VERSIONS, Call(path={"id": id}, query=query))

    def versions(self, id: str) -> Iterator[Version]:
        """Give a notebook's history, newest first, versions kept on the side included."""
        return self._transport.items(ops.LIST_VERSIONS, Call(path={"id": id}))

    def version(self, id: str, number: int) -> Version:
        """Describe a version. Raises `VersionNotFound`."""
        return self._transport.ask(ops.GET_VERSION, Call(path={"id": id, "number": number}))

    def label(self, id: str, number: int, label: str | None) -> Version:
        """Give a version a label, so that no retention removes it; None takes the label away."""
        call = Call(path={"id": id, "number": number}, body={"label": label})
        return self._transport.ask(ops.LABEL_VERSION, call)

    def receipt(self, id: str, number: int) -> str:
        """Get the signed proof of a version, which `verify_receipt` reads."""
        return (self._transport.ask(ops.GET_RECEIPT, Call(path={"id": id, "number": number}))).receipt

    def restore(self, id: str, number: int, *, idempotency_key: str | None = None) -> VersionStored:
        """Make an old version current again, as a new one; a session that has the notebook open shows it."""
        call = Call(path={"id": id, "number": number}, key=idempotency_key)
        return self._transport.ask(ops.RESTORE_VERSION, call)

    def resolve(self, id: str, number: int, *, take: Take, idempotency_key: str | None = None) -> VersionStored:
        """Settle a version that a conflict has kept on the side; gives the version that is current then.

        Raises `MergeConflict`, whose `unsettled` says where both sides changed the same, `NotMergeable` or
        `NotOnTheSide`.
        """
        call = Call(path={"id": id, "number": number}, body={"take": take}, key=idempotency_key)
        return self._transport.ask(ops.RESOLVE_VERSION, call)


def _content(id: str, version: int | None) -> tuple[ops.Operation[bytes], Call]:
    if version is None:
        return ops.GET_CONTENT, Call(path={"id": id})
    return ops.GET_VERSION_CONTENT, Call(path={"id": id, "number": version})
