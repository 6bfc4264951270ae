"""`/v1/notebooks/{id}/versions` and `…/diff`: a notebook's history."""

import asyncio
import hashlib
from typing import Annotated, Any, Literal

from fastapi import Header, Path, Query, Response

from inset import diff_page
from inset.deps import CursorDep, LimitDep, NotebooksDep, OnceDep, ReadingDep, SessionsDep, needs
from inset.errors import (
    DiffTooLarge,
    HubBusy,
    HubUnavailable,
    InvalidCursor,
    InvalidRequest,
    KeyReused,
    MergeConflict,
    NotAllowed,
    NotComparable,
    NotebookNotFound,
    NotebookTooLarge,
    NotMergeable,
    NotOnTheSide,
    RequestUnderWay,
    ServerGone,
    VersionNotFound,
)
from inset.models import NotebookDiff, VersionLabel, VersionList, VersionPublic, VersionResolve, VersionStored
from inset.problems import responses
from inset.receipts import Receipt
from inset.routers import hosts_router
from inset.routes.content import CONTENT, IfNoneMatch, content_answer

router = hosts_router("/v1/notebooks", tag="notebooks")

Number = Annotated[int, Path(ge=1, lt=2**31, description="A version's number.")]

_DIFF: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`ETag` names both contents.",
        "content": {"text/html": {"schema": {"type": "string"}}},
        "headers": {"ETag": {"schema": {"type": "string"}}},
    },
    304: {"description": "The reader has it: `If-None-Match` names it."},
}


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
    responses={**CONTENT, **responses(NotAllowed, NotebookNotFound, VersionNotFound, InvalidRequest)},
)
async def get_version_content(
    id: str,
    number: Number,
    notebooks: NotebooksDep,
    reading: ReadingDep,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Download a version's document."""
    return await content_answer(await notebooks.content(id, number), if_none_match, id, reading)


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
    reading: ReadingDep,
    old: Annotated[int, Query(alias="from", ge=1, lt=2**31, description="The version before.")],
    new: Annotated[
        int | None, Query(alias="to", ge=1, lt=2**31, description="The version after; left out: the current one.")
    ] = None,
    format: Annotated[Literal["json", "html"] | None, Query(description="Instead of `Accept`.")] = None,
    accept: Annotated[str, Header(max_length=1000)] = "",
    if_none_match: IfNoneMatch = None,
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
    await reading.note("notebook.compared", id, old=before.number, new=after.number)
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


def _prefers_html(accept: str) -> bool:
    wanted = [kind.partition(";")[0].strip() for kind in accept.lower().split(",")]
    return next((kind for kind in wanted if kind in ("text/html", "application/json")), "") == "text/html"
