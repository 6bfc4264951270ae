"""HTML out of templates."""

from typing import Any

from fastapi import Request, Response
from fastapi.templating import Jinja2Templates

from .settings import HERE

_templates = Jinja2Templates(HERE / "templates")


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    # Not stored, so that the back button shows nothing after a logout.
    return _templates.TemplateResponse(
        request, template, context, status_code=status, headers={"Cache-Control": "no-store"}
    )
