"""Taking in a body, and looking at the document that it is: each byte is copied once, and the loop is not held."""

import asyncio
from collections.abc import Callable
from io import BytesIO

from starlette.requests import Request

from inset.cells import Cut
from inset.documents import Document, nbformat_loaded
from inset.offload import offload

_BY_TWO = 1024 * 1024
"""Bytes from which it pays to hash in one thread what another looks at."""


async def received(request: Request) -> bytes:
    """Give a request's body. `Request.body` holds all of it twice while it joins the pieces."""
    body = BytesIO()
    async for piece in request.stream():
        body.write(piece)
    return body.getvalue()


async def accepted(
    accept: Callable[[bytes, Cut | None], Document], content: bytes, known: Cut | None = None
) -> Document:
    """Have a document looked at by one of `inset.documents`, and hashed. Raises as that does."""
    await nbformat_loaded()
    if len(content) <= _BY_TWO:
        # Where most of it is known, little is left to do.
        return await offload(len(content) // (4 if known else 1), _accepted, accept, content, known)
    document, sha256 = await asyncio.gather(
        asyncio.to_thread(accept, content, known), asyncio.to_thread(lambda: Document(content).sha256)
    )
    if document.content is content:
        document.__dict__["sha256"] = sha256
    return document


def _accepted(accept: Callable[[bytes, Cut | None], Document], content: bytes, known: Cut | None) -> Document:
    document = accept(content, known)
    _ = document.sha256  # which is kept
    return document
