"""`create_app()`: opening, wiring, closing."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypedDict
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles

from . import accounts, hooks, pages
from .analyses import Analyses, open_analyses
from .inset import Inset
from .problems import add_problem_handler
from .settings import HERE, Settings
from .tokens import Tokens


class State(TypedDict):
    settings: Settings
    tokens: Tokens
    analyses: Analyses
    inset: Inset


def create_app(settings: Settings, *, service_transport: httpx.AsyncBaseTransport | None = None) -> FastAPI:
    tokens = Tokens(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        with open_analyses(settings.data) as analyses:
            async with httpx.AsyncClient(
                base_url=settings.service_api_url, timeout=20, transport=service_transport
            ) as http:
                yield {"settings": settings, "tokens": tokens, "analyses": analyses, "inset": Inset(http, tokens)}

    app = FastAPI(title="Fieldnotes", lifespan=lifespan, openapi_url=None)
    app.include_router(accounts.router)
    app.include_router(pages.router)
    app.include_router(hooks.router)
    add_problem_handler(app)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.mount("/sdk", StaticFiles(directory=settings.sdk))
    app.middleware("http")(_guard(settings))
    return app


def _security_headers(settings: Settings, nonce: str) -> dict[str, str]:
    """Write what a page may load; the nonce is for the style sheet of a notebook's last saved version."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": f"'self' 'nonce-{nonce}'",
        # Plots in that version.
        "img-src": "'self' data:",
        "connect-src": f"'self' {settings.service_url}",
        "frame-src": f"'self' {settings.frame_src}",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{directive} {sources}" for directive, sources in policy.items()),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }


Next = Callable[[Request], Awaitable[Response]]


def _guard(settings: Settings) -> Callable[[Request, Next], Awaitable[Response]]:
    """Refuse what another site's page sends in a user's name, and put the security headers on every answer."""

    async def guard(request: Request, call_next: Next) -> Response:
        origin = request.headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
        request.state.nonce = secrets.token_urlsafe(16)
        response: Response
        if foreign and request.method not in ("GET", "HEAD"):
            response = PlainTextResponse("This form belongs to another site.", 403)
        else:
            response = await call_next(request)
        for name, value in _security_headers(settings, request.state.nonce).items():
            response.headers.setdefault(name, value)
        return response

    return guard
