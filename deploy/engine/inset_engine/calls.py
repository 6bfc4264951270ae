"""Calling the engine for the hub. What it does not know is answered 403.

Nothing that came is passed on as it came: path, query and body are made anew from what was understood.
"""

import json
import logging
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector, web

from inset_engine.checks import Refused

VERSION = r"/v{version:1\.[0-9][0-9]}"

_ENGINE = web.AppKey("engine", ClientSession)
_LARGEST_BODY = 1 << 20
_LONGEST_STOP_SECONDS = 600

log = logging.getLogger("inset_engine")


def before_engine(socket: Path, routes: Iterable[web.RouteDef]) -> web.Application:
    """Stand before the engine that listens on a socket, and let these calls through."""
    app = web.Application(middlewares=[_refusing], client_max_size=_LARGEST_BODY)
    app.cleanup_ctx.append(_engine(socket))
    app.add_routes(
        [
            web.get("/version", version),
            web.get(VERSION + "/version", version),
            *routes,
        ]
    )
    return app


async def version(request: web.Request) -> web.Response:
    """Say which engine it is: clients ask before anything else."""
    read_query(request, {})
    return await ask(request, "GET", "/version")


async def read_body(request: web.Request) -> Any:
    """Read a body. Raises `Refused` if it is no JSON."""
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError):
        raise Refused("the body") from None


async def ask(
    request: web.Request, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
) -> web.Response:
    """Ask the engine in its API's version that the request names; 502 if it does not answer."""
    version = f"/v{request.match_info['version']}" if "version" in request.match_info else ""
    engine = request.app[_ENGINE]
    try:
        async with engine.request(method, f"http://engine{version}{path}", params=query, json=body) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")
    except (ClientError, OSError, TimeoutError) as exc:
        log.error("The engine does not answer: %s", exc)
        return told(502, "the engine does not answer")


def read_query(request: web.Request, allowed: Mapping[str, re.Pattern[str]]) -> dict[str, str]:
    """Read a query of which each part is known. Raises `Refused`."""
    for name, value in request.query.items():
        if name not in allowed or not allowed[name].fullmatch(value) or len(request.query.getall(name)) > 1:
            raise Refused(f"the query's {name!r}")
    return dict(request.query)


@web.middleware
async def _refusing(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
        return response
    except Refused as refused:
        reason = str(refused)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as exc:
        if exc.content_type == "application/json":
            raise
        reason = "no such call is let through"
    except web.HTTPRequestEntityTooLarge:
        reason = "the body is too large"
    log.warning("refused %s %s: %s", request.method, request.rel_url.raw_path, reason)
    return told(403, f"refused: {reason}")


def told(status: int, message: str) -> web.Response:
    """Answer as the engine does."""
    return web.json_response({"message": message}, status=status)


def _engine(socket: Path) -> Any:
    async def opened(app: web.Application) -> AsyncIterator[None]:
        timeout = ClientTimeout(total=_LONGEST_STOP_SECONDS + 60)
        async with ClientSession(connector=UnixConnector(str(socket)), timeout=timeout) as engine:
            app[_ENGINE] = engine
            yield

    return opened
