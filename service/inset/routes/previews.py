"""`/v1/notebooks/…/preview`: any version as a static page."""

from typing import Any

from fastapi import Response

from inset.callers import Caller
from inset.deps import TAKES_ITS_TIME, CallerDep, State, StateDep, note_reading, notebooks_of
from inset.errors import InvalidRequest, NotebookNotFound, NotPreviewable, PreviewsBusy, VersionNotFound
from inset.preview import preview_headers
from inset.problems import responses
from inset.routers import hosts_router
from inset.routes.content import IfNoneMatch
from inset.routes.versions import Number

router = hosts_router("/v1/notebooks", tag="notebooks")

_PAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of HTML that runs nothing and loads nothing.",
        "content": {"text/html": {"schema": {"type": "string"}}},
        "headers": {"ETag": {"schema": {"type": "string"}}},
    },
    304: {"description": "The page named in `If-None-Match` is still the one."},
    **responses(NotebookNotFound, VersionNotFound, NotPreviewable, InvalidRequest, PreviewsBusy),
}


@router.get("/{id}/preview", response_class=Response, dependencies=[TAKES_ITS_TIME], responses=_PAGE)
async def get_preview(id: str, caller: CallerDep, state: StateDep, if_none_match: IfNoneMatch = None) -> Response:
    """Show the current version as a static, safe page: while a server starts, or when there is none.

    It needs no capability: whoever may open a notebook may look at it. Put the answer's text into the `srcdoc` of an
    `<iframe sandbox="allow-popups allow-popups-to-escape-sandbox">`, or hand the answer on from your backend with its
    headers.
    """
    return await _preview(caller, state, if_none_match, id, None)


@router.get("/{id}/versions/{number}/preview", response_class=Response, dependencies=[TAKES_ITS_TIME], responses=_PAGE)
async def get_version_preview(
    id: str, number: Number, caller: CallerDep, state: StateDep, if_none_match: IfNoneMatch = None
) -> Response:
    """Show a version as a static, safe page."""
    return await _preview(caller, state, if_none_match, id, number)


async def _preview(caller: Caller, state: State, if_none_match: str | None, id: str, number: int | None) -> Response:
    # In short transactions of its own: a database's connection must not be held while a page is made.
    async with state["database"].transaction(read_only=True) as db:
        notebooks = notebooks_of(caller, db, state)
        version = await notebooks.version(id, number or (await notebooks.get(id)).version)

    async def read() -> bytes:
        async with state["database"].transaction(read_only=True) as db:
            return (await notebooks_of(caller, db, state).content(id, version.number)).document.content

    headers = preview_headers(version.sha256, framed_by=caller.origins)
    if (if_none_match or "").removeprefix("W/") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    await note_reading(state, caller, "notebook.previewed", id, version=version.number)
    page = await state["previews"].page(caller.host_id, version.sha256, size=version.size, read=read)
    return Response(page, media_type="text/html", headers=headers)
