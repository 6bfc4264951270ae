"""Logging in and out, and the users' tokens for Inset."""

import logging
import secrets
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Form, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from .deps import COOKIE, USERS, InsetDep, TokensDep, User
from .inset import Inset
from .problems import Problem
from .tokens import LOGIN_SECONDS, TOKEN_SECONDS
from .view import page

SHOWN_ON_THE_LOGIN_PAGE = "fieldnotes"
FormText = Annotated[str, Form()]

router = APIRouter()
log = logging.getLogger(__name__)


@router.get("/login")
async def login_form(request: Request) -> Response:
    return page(request, "login.html", users=USERS, password=SHOWN_ON_THE_LOGIN_PAGE)


@router.post("/login")
async def login(request: Request, tokens: TokensDep, user: FormText = "", password: FormText = "") -> Response:
    right = secrets.compare_digest(password.encode(), SHOWN_ON_THE_LOGIN_PAGE.encode())
    if user not in USERS or not right:
        shown = {"users": USERS, "password": SHOWN_ON_THE_LOGIN_PAGE}
        return page(request, "login.html", status=401, refused=True, typed=user, **shown)
    response = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, tokens.login(user), max_age=LOGIN_SECONDS, httponly=True, samesite="lax", secure=secure)
    return response


@router.post("/logout")
async def logout(user: User, inset: InsetDep, tasks: BackgroundTasks) -> Response:
    # In the background: logging out must not wait for notebooks to be saved, nor fail because they can't be.
    tasks.add_task(_end_sessions, inset, user)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return response


@router.get("/token")
async def token(user: User, tokens: TokensDep) -> JSONResponse:
    """Give the page the JWT that names its user to Inset."""
    body = {"token": tokens.for_browser(user), "expires_in": TOKEN_SECONDS}
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


async def _end_sessions(inset: Inset, user: str) -> None:
    try:
        await inset.end_sessions(user)
    except Problem as problem:
        log.warning("The sessions of %s go on after the logout: %s", user, problem)
