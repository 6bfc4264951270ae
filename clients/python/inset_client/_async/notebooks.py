"""One user's notebooks and their history."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from inset_client import operations as ops
from inset_client._async.transport import AsyncTransport
from inset_client.content import Content, Document, version_of
from inset_client.models import Notebook, NotebookDiff, NotebookStored, Take, Version, VersionStored
from inset_client.wire import Call


@dataclass(frozen=True)
class AsyncContentStream:
    """A version's bytes while they arrive."""

    version: int
    chunks: AsyncIterator[bytes]


class AsyncNotebooks:
    """Create, find, read, replace and compare notebooks.

    Every method raises a `Problem`: `NotebookNotFound` for what is not there or somebody else's, `NotAllowed` where
    the user lacks a capability; or `Unreachable`.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self, name: str, content: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> NotebookStored:
        """Create a notebook: empty, or with an nbformat 4 document as its version 1."""
        body = {"name": name} if content is None else {"name": name, "content": content}
        return await self._transport.ask(ops.CREATE_NOTEBOOK, Call(body=body, key=idempotency_key))

    def list(self, *, query: str | None = None) -> AsyncIterator[Notebook]:
        """Give the user's notebooks, newest first: all, or those whose name contains `query`."""
        return self._transport.items(ops.LIST_NOTEBOOKS, Call(query={"q": query}))

    async def get(self, id: str) -> Notebook:
        """Describe a notebook."""
        return await self._transport.ask(ops.GET_NOTEBOOK, Call(path={"id": id}))

    async def rename(self, id: str, name: str) -> Notebook:
        """Rename a notebook. A running session keeps its file's name."""
        return await self._transport.ask(ops.RENAME_NOTEBOOK, Call(path={"id": id}, body={"name": name}))

    async def delete(self, id: str) -> None:
        """Delete a notebook; for thirty days it can be brought back. Raises `NotebookInUse` while it is open."""
        await self._transport.ask(ops.DELETE_NOTEBOOK, Call(path={"id": id}))

    async def undelete(self, id: str) -> Notebook:
        """Bring a deleted notebook back."""
        return await self._transport.ask(ops.UNDELETE_NOTEBOOK, Call(path={"id": id}))

    async def content(self, id: str, version: int | None = None) -> Content:
        """Download a version, the current one if none is named. Raises `VersionNotFound`."""
        answer = await self._transport.send(*_content(id, version))
        return Content(version_of(answer), answer.content)

    @asynccontextmanager
    async def stream_content(self, id: str, version: int | None = None) -> AsyncIterator[AsyncContentStream]:
        """Download a version piece by piece. A connection that is lost on the way raises httpx's own error."""
        async with self._transport.stream(*_content(id, version)) as answer:
            yield AsyncContentStream(version_of(answer), answer.aiter_bytes())

    async def replace(self, id: str, content: Document, *, base: int) -> NotebookStored:
        """Store a document as the newest version, if `base`, the version it was made from, is still the current one.

        Raises `VersionConflict` if it is not; what was sent is then kept on the side, for `resolve`.
        """
        call = Call(path={"id": id}, headers={"If-Match": f'"{base}"'}, body=content)
        return await self._transport.ask(ops.REPLACE_CONTENT, call)

    async def preview(self, id: str, version: int | None = None) -> str:
        """Give a version as a static, safe page of HTML. Raises `NotPreviewable`."""
        if version is None:
            return await self._transport.ask(ops.GET_PREVIEW, Call(path={"id": id}))
        return await self._transport.ask(ops.GET_VERSION_PREVIEW, Call(path={"id": id, "number": version}))

    async def diff(self, id: str, old: int, new: int | None = None) -> NotebookDiff:
        """Compare two versions by their cells; `new` left out: the current one."""
        query = {"from": old, "to": new, "format": "json"}
        return await self._transport.ask(ops.COMPARE_VERSIONS, Call(path={"id": id}, query=query))

    def versions(self, id: str) -> AsyncIterator[Version]:
        """Give a notebook's history, newest first, versions kept on the side included."""
        return self._transport.items(ops.LIST_VERSIONS, Call(path={"id": id}))

    async def version(self, id: str, number: int) -> Version:
        """Describe a version. Raises `VersionNotFound`."""
        return await self._transport.ask(ops.GET_VERSION, Call(path={"id": id, "number": number}))

    async def label(self, id: str, number: int, label: str | None) -> Version:
        """Give a version a label, so that no retention removes it; None takes the label away."""
        call = Call(path={"id": id, "number": number}, body={"label": label})
        return await self._transport.ask(ops.LABEL_VERSION, call)

    async def receipt(self, id: str, number: int) -> str:
        """Get the signed proof of a version, which `verify_receipt` reads."""
        return (await self._transport.ask(ops.GET_RECEIPT, Call(path={"id": id, "number": number}))).receipt

    async def restore(self, id: str, number: int, *, idempotency_key: str | None = None) -> VersionStored:
        """Make an old version current again, as a new one; a session that has the notebook open shows it."""
        call = Call(path={"id": id, "number": number}, key=idempotency_key)
        return await self._transport.ask(ops.RESTORE_VERSION, call)

    async def resolve(self, id: str, number: int, *, take: Take, idempotency_key: str | None = None) -> VersionStored:
        """Settle a version that a conflict has kept on the side; gives the version that is current then.

        Raises `MergeConflict`, whose `unsettled` says where both sides changed the same, `NotMergeable` or
        `NotOnTheSide`.
        """
        call = Call(path={"id": id, "number": number}, body={"take": take}, key=idempotency_key)
        return await self._transport.ask(ops.RESOLVE_VERSION, call)


def _content(id: str, version: int | None) -> tuple[ops.Operation[bytes], Call]:
    if version is None:
        return ops.GET_CONTENT, Call(path={"id": id})
    return ops.GET_VERSION_CONTENT, Call(path={"id": id, "number": version})
