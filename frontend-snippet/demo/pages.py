"""The analyses: a list, a page for each, and the forms that change them."""

import json
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Form, Header, Request, Response
from fastapi.responses import RedirectResponse

from .deps import USERS, AnalysesDep, InsetDep, SettingsDep, User
from .problems import Problem
from .settings import HERE
from .view import page

router = APIRouter()

_OF_A_PREVIEW = ("Content-Security-Policy", "ETag", "Referrer-Policy")

Title = Annotated[str, Form()]
Start = Annotated[Literal["empty", "example"], Form()]


@router.get("/")
async def list_analyses(
    request: Request, user: User, analyses: AnalysesDep, settings: SettingsDep, deleted: str = ""
) -> Response:
    return page(
        request,
        "list.html",
        user=USERS[user],
        service_url=settings.service_url,
        analyses=analyses.of(user),
        recently_deleted=analyses.of(user, deleted=True),
        just_deleted=deleted,
    )


@router.post("/analyses")
async def create_analysis(
    user: User, analyses: AnalysesDep, inset: InsetDep, title: Title = "", start: Start = "empty"
) -> Response:
    id, title = uuid4().hex, _clean(title)
    content = _example() if start == "example" else None
    notebook_id = await inset.create(user, title, content=content)
    analyses.add(user, id=id, title=title, notebook_id=notebook_id)
    return RedirectResponse(f"/analyses/{id}", 303)


@router.get("/analyses/{id}")
async def open_analysis(
    request: Request, user: User, analyses: AnalysesDep, settings: SettingsDep, id: str
) -> Response:
    analysis = analyses.get(user, id)
    return page(request, "analysis.html", user=USERS[user], analysis=analysis, service_url=settings.service_url)


@router.get("/analyses/{id}/preview")
async def preview_analysis(
    user: User,
    analyses: AnalysesDep,
    inset: InsetDep,
    id: str,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Hand on the last saved version as a page, with the policy that makes it safe here."""
    answer = await inset.preview(user, analyses.get(user, id).notebook_id, known=if_none_match)
    headers = {name: answer.headers[name] for name in _OF_A_PREVIEW}
    return Response(answer.content, answer.status_code, headers, media_type="text/html")


@router.get("/analyses/{id}/told")
async def list_told(user: User, analyses: AnalysesDep, id: str) -> list[dict[str, str]]:
    """Give what Inset's webhooks have told of an analysis."""
    return analyses.told_of(analyses.get(user, id))


@router.post("/analyses/{id}/rename")
async def rename_analysis(user: User, analyses: AnalysesDep, inset: InsetDep, id: str, title: Title = "") -> Response:
    analysis, title = analyses.get(user, id), _clean(title)
    await inset.rename(user, analysis.notebook_id, title)
    analyses.rename(analysis, title)
    return RedirectResponse("/", 303)


@router.post("/analyses/{id}/delete")
async def delete_analysis(user: User, analyses: AnalysesDep, inset: InsetDep, id: str) -> Response:
    analysis = analyses.get(user, id)
    await inset.delete(user, analysis.notebook_id)
    analyses.delete(analysis)
    return RedirectResponse(f"/?deleted={analysis.id}", 303)


@router.post("/analyses/{id}/undelete")
async def undelete_analysis(user: User, analyses: AnalysesDep, inset: InsetDep, id: str) -> Response:
    analysis = analyses.get(user, id, deleted=True)
    await inset.undelete(user, analysis.notebook_id)
    analyses.undelete(analysis)
    return RedirectResponse("/", 303)


def _clean(title: str) -> str:
    title = " ".join(title.split())
    if not 0 < len(title) <= 200:
        raise Problem("Please give the analysis a title", "It may have up to 200 characters.", status=422)
    return title


def _example() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((HERE / "example.ipynb").read_text(encoding="utf-8"))
    return content
