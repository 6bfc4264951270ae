"""A FastAPI application with a notebook on its page.

INSET_KEY='…' uvicorn app:app --port 8080
"""

import os
import time
from pathlib import Path
from typing import Annotated

import httpx
import jwt
from fastapi import FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.middleware.sessions import SessionMiddleware

SERVICE = os.environ.get("INSET_SERVICE", "http://localhost:8091")
KEY = os.environ["INSET_KEY"]
HERE = Path(__file__).parent
SDK = Path(os.environ.get("INSET_SDK", HERE.parents[2] / "frontend-snippet" / "dist"))

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key=os.environ.get("APP_SECRET", os.urandom(32).hex()))
app.mount("/sdk", StaticFiles(directory=SDK))
templates = Jinja2Templates(HERE / "templates")

NOTEBOOKS: dict[str, str] = {}
"""Each user's notebook; a column of a table of yours."""


def token(user: str) -> str:
    """Tell Inset who this is, for five minutes."""
    now = int(time.time())
    claims = {"iss": "my-app", "aud": SERVICE, "sub": user, "iat": now, "exp": now + 300}
    return jwt.encode(claims, KEY, algorithm="HS256", headers={"kid": "my-app-1"})


async def notebook_of(user: str) -> str:
    """Give the id of the user's notebook, which is made when it is first asked for."""
    if user not in NOTEBOOKS:
        headers = {"Authorization": f"Bearer {token(user)}"}
        async with httpx.AsyncClient(base_url=SERVICE, headers=headers) as inset:
            made = await inset.post("/v1/notebooks", json={"name": "My analysis"})
        NOTEBOOKS[user] = made.raise_for_status().json()["id"]
    return NOTEBOOKS[user]


@app.get("/")
async def page(request: Request) -> Response:
    user = request.session.get("user")
    shown = {"user": user, "service": SERVICE, "notebook": user and await notebook_of(user)}
    return templates.TemplateResponse(request, "page.html", shown)


@app.post("/login")
async def login(request: Request, user: Annotated[str, Form()]) -> Response:
    # Your own login stands here, with its passwords.
    request.session["user"] = user
    return RedirectResponse("/", 303)


@app.post("/inset-token")
async def inset_token(request: Request) -> Response:
    if "user" not in request.session:
        raise HTTPException(401, "Log in first")
    return PlainTextResponse(token(request.session["user"]), headers={"Cache-Control": "no-store"})
