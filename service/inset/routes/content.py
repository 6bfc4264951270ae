"""A version's bytes in requests and answers, and the version's number as their ETag."""

import re
from typing import Annotated, Any

from fastapi import Header, Response

from inset.deps import Reading
from inset.errors import BaseVersionRequired
from inset.notebooks import Content

IfNoneMatch = Annotated[str | None, Header(max_length=200)]

DOCUMENT = {"application/x-ipynb+json": {"schema": {"type": "object", "title": "nbformat 4 document"}}}
CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The notebook's exact bytes. `ETag` is the version's number.",
        "content": DOCUMENT,
        "headers": {"ETag": {"schema": {"type": "string"}}},
    },
    304: {"description": "The version named in `If-None-Match` is the one asked for."},
}


def etag(version: int) -> str:
    """Write a version as an ETag."""
    return f'"{version}"'


def base_version(if_match: str | None) -> int:
    """Read the version that a write is based on. Raises `BaseVersionRequired`."""
    # Weak, as proxies that compress make it, it still names the version.
    named = re.fullmatch(r'(?:W/)?"?([1-9][0-9]{0,8})"?', (if_match or "").strip())
    if named is None:
        raise BaseVersionRequired
    return int(named[1])


async def content_answer(content: Content, if_none_match: str | None, id: str, reading: Reading) -> Response:
    """Answer with a version's exact bytes, unless the reader has them."""
    tag = etag(content.version)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if if_none_match == tag:
        return Response(status_code=304, headers=headers)
    await reading.note("notebook.downloaded", id, version=content.version)
    # As a download and nothing else: what is in a notebook must not run in the service's origin.
    headers |= {
        "Content-Disposition": "attachment",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(content.document.content, media_type="application/x-ipynb+json", headers=headers)
