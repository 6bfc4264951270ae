"""`/v1/notebooks`: stored notebooks, their content and their history."""

import asyncio
import hashlib
import re
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response

from inset import diff_page
from inset.deps import CursorDep, LimitDep, NotebooksDep, OnceDep, SessionsDep, needs
from inset.documents import empty_document, parsed_document, uploaded_document
from inset.errors import (
    BaseVersionRequired,
    DiffTooLarge,
    HubBusy,
    HubUnavailable,
    InvalidCursor,
    InvalidRequest,
    KeyReused,
    MergeConflict,
    NotAllowed,
    NotANotebook,
    NotComparable,
    NotebookInUse,
    NotebookNotFound,
    NotebookTooLarge,
    NotJson,
    NotMergeable,
    NotOnTheSide,
    RequestUnderWay,
    ServerGone,
    UnsupportedNbformat,
    VersionConflict,
    VersionNotFound,
)
from inset.models import (
    NotebookCreate,
    NotebookDiff,
    NotebookList,
    NotebookPublic,
    NotebookRename,
    NotebookStored,
    VersionLabel,
    VersionList,
    VersionPublic,
    VersionResolve,
    VersionStored,
)
from inset.notebooks import Content
from inset.problems import responses
from inset.receipts import Receipt

router = APIRouter(prefix="/v1/notebooks", tags=["notebooks"])

Number = Annotated[int, Path(ge=1, lt=2**31, description="A version's number.")]

_NOTEBOOK = {"application/x-ipynb+json": {"schema": {"type": "object", "title": "nbformat 4 document"}}}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The notebook's exact bytes. `ETag` is the version's number.",
        "content": _NOTEBOOK,
        "headers": {"ETag": {"schema": {"type": "string"}}},
    },
    304: {"description": "The version named in `If-None-Match` is the one asked for."},
}
_DIFF: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`ETag` names both contents.",
        "content": {"text/html": {"schema": {"type": "string"}}},
        "headers": {"ETag": {"schema": {"type": "string"}}},
    },
    304: {"description": "The reader has it: `If-None-Match` names it."},
}
_UPLOAD = {
    "requestBody": {
        "required": True,
        "description": "An nbformat 4 document.",
        "content": {"application/json": {"schema": {"type": "object", "title": "nbformat 4 document"}}, **_NOTEBOOK},
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
    responses={**_CONTENT, **responses(NotAllowed, NotebookNotFound)},
)
async def get_content(
    id: str, notebooks: NotebooksDep, if_none_match: Annotated[str | None, Header(max_length=200)] = None
) -> Response:
    """Download the current version's document."""
    return _content(await notebooks.content(id), if_none_match)


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
    document = await asyncio.to_thread(uploaded_document, await request.body())
    replaced = await notebooks.replace(id, document, base=base_version(if_match))
    response.headers["ETag"] = etag(replaced.version)
    return replaced


@router.get("/{id}/versions", responses=responses(NotebookNotFound, InvalidRequest, InvalidCursor))
async def list_versions(
    id: str, notebooks: NotebooksDep, cursor: CursorDep = None, limit: LimitDep = 50
) -> VersionList:
    """List a notebook's history, newest first, versions kept on the side included."""
    return await notebooks.versions(id, cursor=cursor, limit=limit)


@router.get("/{id}/versions/{number}", responses=responses(NotebookNotFound, VersionNotFound, InvalidRequest))
async def get_version(id: str, number: Number, notebooks: NotebooksDep) -> VersionPublic:
    """Describe a version."""
    return await notebooks.version(id, number)


@router.patch(
    "/{id}/versions/{number}",
    dependencies=[needs("edit")],
    responses=responses(NotAllowed, NotebookNotFound, VersionNotFound, InvalidRequest),
)
async def label_version(id: str, number: Number, changes: VersionLabel, notebooks: NotebooksDep) -> VersionPublic:
    """Give a version a label, or take it away."""
    return await notebooks.label(id, number, changes.label)


@router.get(
    "/{id}/versions/{number}/content",
    response_class=Response,
    dependencies=[needs("download")],
    responses={**_CONTENT, **responses(NotAllowed, NotebookNotFound, VersionNotFound, InvalidRequest)},
)
async def get_version_content(
    id: str,
    number: Number,
    notebooks: NotebooksDep,
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Download a version's document."""
    return _content(await notebooks.content(id, number), if_none_match)


@router.get("/{id}/versions/{number}/receipt", responses=responses(NotebookNotFound, VersionNotFound, InvalidRequest))
async def get_receipt(id: str, number: Number, notebooks: NotebooksDep) -> Receipt:
    """Get the signed proof of a version: the same facts at any time, as long as the version is there."""
    return Receipt(receipt=await notebooks.receipt(id, number))


@router.post(
    "/{id}/versions/{number}/restore",
    status_code=201,
    dependencies=[needs("edit")],
    responses=responses(
        NotAllowed, NotebookNotFound, VersionNotFound, InvalidRequest, KeyReused, RequestUnderWay, HubUnavailable,
        HubBusy, ServerGone,
    ),
)  # fmt: skip
async def restore_version(id: str, number: Number, sessions: SessionsDep, once: OnceDep) -> VersionStored:
    """Make an old version current again, as a new one on top of the history.

    If the notebook is open in a session, unsaved edits are saved as a version first, and the page shows the old one.
    """
    return await once.run((id, number), lambda: sessions.restore(id, number), VersionStored)


@router.post(
    "/{id}/versions/{number}/resolve",
    status_code=201,
    dependencies=[needs("edit")],
    responses=responses(
        NotAllowed, NotebookNotFound, VersionNotFound, NotOnTheSide, MergeConflict, NotMergeable, NotebookTooLarge,
        InvalidRequest, KeyReused, RequestUnderWay, HubUnavailable, HubBusy, ServerGone,
    ),
)  # fmt: skip
async def resolve_version(
    id: str, number: Number, resolution: VersionResolve, sessions: SessionsDep, once: OnceDep
) -> VersionStored:
    """Settle a version that a conflict has kept on the side, together with what was saved on top of it there.

    `mine` and `merge` append a version, whose `merged` names the one that they took in; `theirs` leaves the current
    one, which is the answer then. A merge goes by cells, from what both have in common; what both sides changed is
    told as `merge-conflict`, whose `unsettled` names each `cell` and `part`, and nothing is changed. A version that is
    settled already is left as it is. A session that has the notebook open shows what is current then.
    """
    take = resolution.take
    return await once.run((id, number, take), lambda: sessions.resolve(id, number, take), VersionStored)


@router.get(
    "/{id}/diff",
    response_model=NotebookDiff,
    dependencies=[needs("download")],
    responses={
        **_DIFF,
        **responses(NotAllowed, NotebookNotFound, VersionNotFound, NotComparable, DiffTooLarge, InvalidRequest),
    },
)
async def compare_versions(
    id: str,
    response: Response,
    notebooks: NotebooksDep,
    old: Annotated[int, Query(alias="from", ge=1, lt=2**31, description="The version before.")],
    new: Annotated[
        int | None, Query(alias="to", ge=1, lt=2**31, description="The version after; left out: the current one.")
    ] = None,
    format: Annotated[Literal["json", "html"] | None, Query(description="Instead of `Accept`.")] = None,
    accept: Annotated[str, Header(max_length=1000)] = "",
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> NotebookDiff | Response:
    """Compare two versions by their cells: as JSON, or as a page that shows text alone.

    Cells are paired by their ids, and by what they say where that fails. An invalid version is compared, too, as long
    as it has cells. Running a cell again with the same outputs is no change.
    """
    as_page = format == "html" or (format is None and _prefers_html(accept))
    name, before, after = await notebooks.sides(id, old, new)
    facts = f"{name} {before.number} {before.sha256} {after.number} {after.sha256} {as_page}"
    tag = f'"{hashlib.sha256(facts.encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept"}
    if if_none_match == tag:
        return Response(status_code=304, headers=headers)
    diff = await notebooks.diff(before, after)
    if not as_page:
        response.headers.update(headers)
        return diff
    headers |= {
        "Content-Disposition": "inline",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": diff_page.POLICY,
    }
    page = await asyncio.to_thread(diff_page.written, name, diff)
    return Response(page, media_type="text/html", headers=headers)


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


def _content(content: Content, if_none_match: str | None) -> Response:
    tag = etag(content.version)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if if_none_match == tag:
        return Response(status_code=304, headers=headers)
    # As a download and nothing else: what is in a notebook must not run in the service's origin.
    headers |= {
        "Content-Disposition": "attachment",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(content.document.content, media_type="application/x-ipynb+json", headers=headers)


def _prefers_html(accept: str) -> bool:
    wanted = [kind.partition(";")[0].strip() for kind in accept.lower().split(",")]
    return next((kind for kind in wanted if kind in ("text/html", "application/json")), "") == "text/html"
