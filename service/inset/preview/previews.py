"""Previews as the service gives them: from memory where it can, else from a renderer."""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path

from inset.errors import NotPreviewable
from inset.preview.page import page_policy
from inset.preview.workers import Workers

NOTEBOOK_LIMIT = 25 * 1024 * 1024
"""The largest notebook that has a preview, in bytes."""

PAGE_LIMIT = 64 * 1024 * 1024
"""The largest page, in bytes."""

MEMORY = 64 * 1024 * 1024
"""How many bytes of pages a replica keeps. One that would take more than a quarter of that is not kept."""

AT_ONCE = 2
"""How many notebooks a replica renders at once. More wait."""

WAIT_SECONDS = 30.0
"""How long one that waits does so."""


class Previews:
    """Gives pages, and remembers those that were asked for last."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._pages: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._kept = 0

    @classmethod
    @asynccontextmanager
    async def opened(cls, *, render_within: timedelta) -> AsyncIterator["Previews"]:
        """Give previews, each made within this time or not at all; their renderers end with the block."""
        workers = Workers(most=AT_ONCE, render_seconds=render_within.total_seconds(), wait_seconds=WAIT_SECONDS)
        try:
            yield cls(workers)
        finally:
            await workers.close()

    async def page(self, host_id: str, sha256: str, *, size: int, read: Callable[[], Awaitable[bytes]]) -> bytes:
        """Give the page of a document with this hash and so many bytes, which is read only if it must be.

        A page is kept for one host application: by how soon it comes, no other learns what that one has stored.
        Raises `NotPreviewable`, `PreviewsBusy`.
        """
        key = (host_id, sha256)
        if key in self._pages:
            self._pages.move_to_end(key)
            return self._pages[key]
        if size > NOTEBOOK_LIMIT:
            raise NotPreviewable(f"it has more than {NOTEBOOK_LIMIT} bytes")
        page = await self._workers.render(read)
        if len(page) > PAGE_LIMIT:
            raise NotPreviewable("its page would be too large")
        self._keep(key, page)
        return page

    def _keep(self, key: tuple[str, str], page: bytes) -> None:
        if len(page) > MEMORY // 4 or key in self._pages:
            return
        self._pages[key] = page
        self._kept += len(page)
        while self._kept > MEMORY:
            self._kept -= len(self._pages.popitem(last=False)[1])


def preview_headers(sha256: str, *, framed_by: Iterable[str]) -> dict[str, str]:
    """Give the headers that a page of a document with this hash is served with, its `ETag` among them."""
    policy = page_policy(framed_by)
    tag = hashlib.sha256("\n".join((sha256, _renderer(), policy)).encode()).hexdigest()
    return {
        "ETag": f'"{tag[:32]}"',
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


@cache
def _renderer() -> str:
    """Name what makes pages of documents: these modules, and the libraries they use."""
    files = sorted(file for file in Path(__file__).parent.iterdir() if file.suffix in (".py", ".css"))
    own = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return " ".join([own, *(version(name) for name in ("nbconvert", "mistune", "pygments", "nh3"))])
