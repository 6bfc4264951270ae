"""What may go wrong in front of a user, and how the answer looks: a page for a person, JSON for a script."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from .view import page


class Problem(Exception):
    """Something to tell the user: a `title`, and perhaps a sentence of `detail`."""

    def __init__(self, title: str, detail: str = "", *, status: int) -> None:
        super().__init__(f"{title}: {detail}")
        self.title, self.detail, self.status = title, detail, status


class NotLoggedIn(Problem):
    """Nobody is logged in: a person is sent to the login form."""

    def __init__(self) -> None:
        super().__init__("Please log in", status=401)


def add_problem_handler(app: FastAPI) -> None:
    app.add_exception_handler(Problem, _answer)


async def _answer(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Problem)
    if "text/html" not in request.headers.get("accept", ""):
        body = {"title": exc.title, "detail": exc.detail, "status": exc.status}
        return JSONResponse(body, exc.status, media_type="application/problem+json")
    if isinstance(exc, NotLoggedIn):
        return RedirectResponse("/login", 303)
    return page(request, "problem.html", status=exc.status, problem=exc)
