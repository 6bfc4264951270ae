"""`/v1/notebooks`: stored notebooks, and what is in them now."""

import asyncio
from functools import partial
from typing import Annotated

from fastapi import Header, Query, Request, Response

from inset.deps import CursorDep, LimitDep, NotebooksDep, OnceDep, ReadingDep, needs
from inset.documents import empty_document, parsed_document, uploaded_document
from inset.errors import (
    BaseVersionRequired,
    InvalidCursor,
    InvalidRequest,
    KeyReused,
    NotAllowed,
    NotANotebook,
    NotebookInUse,
    NotebookNotFound,
    NotebookTooLarge,
    NotJson,
    RequestUnderWay,
    UnsupportedNbformat,
    VersionConflict,
    VersionNotFound,
)
from inset.models import NotebookCreate, NotebookList, NotebookPublic, NotebookRename, NotebookStored
from inset.problems import responses
from inset.receiving import accepted, received
from inset.routers import hosts_router
from inset.routes.content import CONTENT, DOCUMENT, IfNoneMatch, base_version, content_answer, etag

router = hosts_router("/v1/notebooks", tag="notebooks")

_UPLOAD = {
    "requestBody": {
        "required": True,
        "description": "An nbformat 4 document.",
        "content": {"application/json": {"schema": {"type": "object", "title": "nbformat 4 document"}}, **DOCUMENT},
    }
}


@router.post(
    "",
    status_code=201,
    dependencies=[needs("edit")],
    responses=responses(
        NotAllowed, NotebookTooLarge, InvalidRequest, NotJson, NotANotebook, UnsupportedNbformat, KeyReused,
        RequestUnderWay,
    ),
)  # fmt: skip
async def create_notebook(
    new: NotebookCreate, response: Response, notebooks: NotebooksDep, once: OnceDep
) -> NotebookStored:
    """Create a notebook: an empty one, or one with a document of yours as its version 1."""
    parse = empty_document if new.content is None else partial(parsed_document, new.content)
    document = await asyncio.to_thread(parse)
    created = await once.run(new, lambda: notebooks.create(new.name, document), NotebookStored)
    response.headers["Location"] = f"/v1/notebooks/{created.id}"
    return created


@router.get("", responses=responses(InvalidRequest, InvalidCursor))
async def list_notebooks(
    notebooks: NotebooksDep,
    q: Annotated[str | None, Query(max_length=200, description="Only names that contain this, in any case.")] = None,
    cursor: CursorDep = None,
    limit: LimitDep = 50,
) -> NotebookList:
    """List the user's notebooks, newest first."""
    return await notebooks.list(query=q, cursor=cursor, limit=limit)


@router.get("/{id}", responses=responses(NotebookNotFound))
async def get_notebook(id: str, notebooks: NotebooksDep) -> NotebookPublic:
    """Describe a notebook."""
    return await notebooks.get(id)


@router.patch("/{id}", dependencies=[needs("edit")], responses=responses(NotAllowed, NotebookNotFound, InvalidRequest))
async def rename_notebook(id: str, changes: NotebookRename, notebooks: NotebooksDep) -> NotebookPublic:
    """Rename a notebook. A running session keeps its file's name."""
    return await notebooks.rename(id, changes.name)


@router.delete(
    "/{id}",
    status_code=204,
    dependencies=[needs("edit")],
    responses=responses(NotAllowed, NotebookNotFound, NotebookInUse),
)
async def delete_notebook(id: str, notebooks: NotebooksDep) -> None:
    """Delete a notebook. For thirty days it can be brought back."""
    await notebooks.delete(id)


@router.post("/{id}/undelete", dependencies=[needs("edit")], responses=responses(NotAllowed, NotebookNotFound))
async def undelete_notebook(id: str, notebooks: NotebooksDep) -> NotebookPublic:
    """Bring a deleted notebook back."""
    return await notebooks.undelete(id)


@router.get(
    "/{id}/content",
    response_class=Response,
    dependencies=[needs("download")],
    responses={**CONTENT, **responses(NotAllowed, NotebookNotFound)},
)
async def get_content(
    id: str, notebooks: NotebooksDep, reading: ReadingDep, if_none_match: IfNoneMatch = None
) -> Response:
    """Download the current version's document."""
    return await content_answer(await notebooks.content(id), if_none_match, id, reading)


@router.put(
    "/{id}/content",
    openapi_extra=_UPLOAD,
    dependencies=[needs("edit")],
    responses=responses(
        NotAllowed, NotebookNotFound, VersionNotFound, VersionConflict, NotebookTooLarge, NotJson, NotANotebook,
        UnsupportedNbformat, InvalidRequest, BaseVersionRequired,
    ),
)  # fmt: skip
async def replace_content(
    id: str,
    request: Request,
    response: Response,
    notebooks: NotebooksDep,
    if_match: Annotated[str | None, Header(max_length=200, description='The version you read, as in `"3"`.')] = None,
) -> NotebookStored:
    """Store a document as the newest version, if nobody has stored another since the one in `If-Match`.

    Otherwise it is kept beside the current version, and the answer names both. A session that has the notebook open
    goes on with what it shows: its next save is then kept on the side.
    """
    document = await accepted(uploaded_document, await received(request), notebooks.known(id))
    replaced = await notebooks.replace(id, document, base=base_version(if_match))
    response.headers["ETag"] = etag(replaced.version)
    return replaced
