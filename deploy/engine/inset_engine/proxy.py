"""The engine's API, as far as DockerSpawner needs it for the seats; everything else is answered 403.

Nothing that came is passed on as it came: path, query and body are made anew from what was understood.
"""

import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector, web

from inset_engine.bodies import Refused, Seats

log = logging.getLogger("inset_engine")

_ENGINE = web.AppKey("engine", ClientSession)
_VERSION = r"/v{version:1\.[0-9][0-9]}"
_CONTAINER = _VERSION + r"/containers/{container:[A-Za-z0-9][A-Za-z0-9_.-]{0,127}}"
_LARGEST_BODY = 1 << 20
_LONGEST_STOP_SECONDS = 600

_FLAG = re.compile("[Tt]rue|[Ff]alse|0|1")
_OFF = re.compile("[Ff]alse|0")
_SECONDS = re.compile("[0-9]{1,3}")
_NAME = re.compile("[a-z0-9-]{1,128}")


def create_app(seats: Seats, socket: Path) -> web.Application:
    """Stand before the engine that listens on a socket."""
    proxy = _Proxy(seats)
    app = web.Application(middlewares=[_refusing], client_max_size=_LARGEST_BODY)
    app.cleanup_ctx.append(_engine(socket))
    app.add_routes(
        [
            web.get("/version", proxy.version),
            web.get(_VERSION + "/version", proxy.version),
            web.get(_VERSION + "/images/{image:.+}/json", proxy.image),
            web.post(_VERSION + "/containers/create", proxy.create),
            web.get(_CONTAINER + "/json", proxy.inspect),
            web.post(_CONTAINER + "/start", proxy.start),
            web.post(_CONTAINER + "/stop", proxy.stop),
            web.delete(_CONTAINER, proxy.remove),
        ]
    )
    return app


class _Proxy:
    def __init__(self, seats: Seats) -> None:
        self._seats = seats

    async def version(self, request: web.Request) -> web.Response:
        _query(request, {})
        return await _ask(request, "GET", "/version")

    async def image(self, request: web.Request) -> web.Response:
        _query(request, {})
        image = request.match_info["image"]
        if image not in self._seats.images:
            raise Refused(f"the image {image!r}")
        return await _ask(request, "GET", f"/images/{quote(image)}/json")

    async def create(self, request: web.Request) -> web.Response:
        name = _query(request, {"name": _NAME}).get("name", "")
        if not self._seats.named(name):
            raise Refused(f"the name {name!r}")
        try:
            asked = json.loads(await request.read())
        except (ValueError, RecursionError):
            raise Refused("the body") from None
        body = self._seats.body(asked)
        return await _ask(request, "POST", "/containers/create", {"name": name}, body)

    async def inspect(self, request: web.Request) -> web.Response:
        _query(request, {})
        # By its id from here on: a name can pass to another container in between.
        return await _ask(request, "GET", f"/containers/{await self._seat(request)}/json")

    async def start(self, request: web.Request) -> web.Response:
        _query(request, {})
        return await _ask(request, "POST", f"/containers/{await self._seat(request)}/start")

    async def stop(self, request: web.Request) -> web.Response:
        query = _query(request, {"t": _SECONDS})
        return await _ask(request, "POST", f"/containers/{await self._seat(request)}/stop", query)

    async def remove(self, request: web.Request) -> web.Response:
        query = _query(request, {"v": _FLAG, "force": _FLAG, "link": _OFF})
        return await _ask(request, "DELETE", f"/containers/{await self._seat(request)}", query)

    async def _seat(self, request: web.Request) -> str:
        """Find the id of the seat's container that a request names. Raises `Refused` if it is no seat's."""
        container = request.match_info["container"]
        found = await _ask(request, "GET", f"/containers/{container}/json")
        if found.status == 404:
            raise web.HTTPNotFound(text=found.text, content_type="application/json")
        if found.status != 200:
            raise Refused(f"the container {container!r}, which the engine answers {found.status} for")
        told = json.loads(found.text or "")
        if not self._seats.named(str(told["Name"]).removeprefix("/")):
            raise Refused(f"the container {container!r}")
        return str(told["Id"])


async def _ask(
    request: web.Request, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
) -> web.Response:
    version = f"/v{request.match_info['version']}" if "version" in request.match_info else ""
    engine = request.app[_ENGINE]
    try:
        async with engine.request(method, f"http://engine{version}{path}", params=query, json=body) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")
    except (ClientError, OSError, TimeoutError) as exc:
        log.error("The engine does not answer: %s", exc)
        return _told(502, "the engine does not answer")


def _query(request: web.Request, allowed: Mapping[str, re.Pattern[str]]) -> dict[str, str]:
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
    return _told(403, f"refused: {reason}")


def _told(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


def _engine(socket: Path) -> Any:
    async def opened(app: web.Application) -> AsyncIterator[None]:
        timeout = ClientTimeout(total=_LONGEST_STOP_SECONDS + 60)
        async with ClientSession(connector=UnixConnector(str(socket)), timeout=timeout) as engine:
            app[_ENGINE] = engine
            yield

    return opened
