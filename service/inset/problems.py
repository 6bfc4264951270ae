"""How problems are answered: every error of the service, the framework's own included, in RFC 9457's shape."""

import json
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from inset.acting import acting
from inset.errors import InvalidRequest, Problem

log = logging.getLogger(__name__)

_MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 20


class ProblemDocument(BaseModel):
    """An RFC 9457 problem. Some have members of their own beside these."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    """Names the request, by the id that the answer's `X-Request-Id` and the service's log have."""


def responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Document the problems that a route can answer, one entry a status."""
    documented: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        entry = documented.setdefault(
            problem.status,
            {"model": ProblemDocument, "description": "", "content": {_MEDIA_TYPE: {"examples": {}}}},
        )
        line = f"`{problem.slug}`: {(problem.__doc__ or '').strip().splitlines()[0]}"
        entry["description"] = "\n\n".join(filter(None, [entry["description"], line]))
        example = {"type": problem_type(problem), "title": problem.title, "status": problem.status, "detail": "…"}
        entry["content"][_MEDIA_TYPE]["examples"][problem.slug] = {"value": example}
    return documented


def problem_type(problem: type[Problem]) -> str:
    """Give the stable URI of a kind of problem."""
    return f"urn:inset:problem:{problem.slug}"


def problem_response(problem: Problem) -> JSONResponse:
    """Answer a problem."""
    kind = problem_type(type(problem))
    return _response(kind, problem.title, problem.status, problem.detail, problem.headers, **problem.members)


def install_problem_handlers(app: FastAPI) -> None:
    """Make the app answer every error as a problem."""

    @app.exception_handler(Problem)
    async def ours(request: Request, exc: Problem) -> JSONResponse:
        if exc.status >= 500:
            # One line: a hub that is away is asked for again and again, and a traceback tells nothing new.
            cause = type(exc.__cause__).__name__ if exc.__cause__ else exc.detail
            log.warning("%s %s: %s (%s)", request.method, request.url.path, exc.slug, cause)
        return problem_response(exc)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> JSONResponse:
        told = exc.errors()[:_MOST_ERRORS]
        errors = [{"where": ".".join(map(str, error["loc"])), "message": error["msg"]} for error in told]
        where = errors[0]["where"] if errors else "request"
        return problem_response(InvalidRequest(f"{where}: {errors[0]['message']}" if errors else where, errors=errors))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, exc: HTTPException) -> JSONResponse:
        if exc.status_code == 400:
            return problem_response(InvalidRequest("body: it cannot be read", errors=[]))
        slug = {404: "not-found", 405: "method-not-allowed"}.get(exc.status_code, "invalid-request")
        hint = _HINTS.get(exc.status_code, str(exc.detail))
        return _response(f"urn:inset:problem:{slug}", str(exc.detail), exc.status_code, hint, exc.headers)


class _ProblemResponse(JSONResponse):
    media_type = _MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        # In ASCII: what a caller sent may hold half of a surrogate pair, and a problem may repeat it.
        return json.dumps(content).encode()


_HINTS = {
    404: "There is nothing at this path. `/docs` lists what there is.",
    405: "This path does not take this method. `/docs` lists those it takes.",
}


def _response(type: str, title: str, status: int, detail: str, headers: Any, **members: Any) -> JSONResponse:
    content = {"type": type, "title": title, "status": status, "detail": detail, **members}
    if request_id := acting().request_id:
        content["instance"] = f"urn:inset:request:{request_id}"
    return _ProblemResponse(content, status_code=status, headers=headers)
