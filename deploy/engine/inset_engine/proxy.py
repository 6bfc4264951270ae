"""The engine's API, as far as DockerSpawner needs it for the seats; everything else is answered 403.

Nothing that came is passed on as it came: path, query and body are made anew from what was understood.
"""

import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from socket import gethostname
from typing import Any
from urllib.parse import quote

from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector, web

from inset_engine.bodies import Refused, Seats
from inset_engine.networks import connected, network_body

log = logging.getLogger("inset_engine")

_ENGINE = web.AppKey("engine", ClientSession)
_VERSION = r"/v{version:1\.[0-9][0-9]}"
_CONTAINER = _VERSION + r"/containers/{container:[A-Za-z0-9][A-Za-z0-9_.-]{0,127}}"
_NETWORK = _VERSION + r"/networks/{network:[a-z0-9-]{1,128}}"
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
            web.post(_VERSION + "/networks/create", proxy.create_network),
            web.get(_NETWORK, proxy.inspect_network),
            web.post(_NETWORK + "/connect", proxy.connect),
            web.post(_NETWORK + "/disconnect", proxy.disconnect),
            web.delete(_NETWORK, proxy.remove_network),
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
        body = self._seats.body(name, await _body(request))
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

    async def create_network(self, request: web.Request) -> web.Response:
        _query(request, {})
        body = network_body(self._seats, await _body(request))
        return await _ask(request, "POST", "/networks/create", body=body)

    async def inspect_network(self, request: web.Request) -> web.Response:
        _query(request, {})
        return await _ask(request, "GET", self._network(request))

    async def connect(self, request: web.Request) -> web.Response:
        part = connected(self._seats, await _body(request))
        endpoint = {"EndpointConfig": {"Aliases": [part]}}
        return await self._each(request, part, f"{self._network(request)}/connect", endpoint)

    async def disconnect(self, request: web.Request) -> web.Response:
        part = connected(self._seats, await _body(request))
        return await self._each(request, part, f"{self._network(request)}/disconnect", {})

    async def remove_network(self, request: web.Request) -> web.Response:
        _query(request, {})
        return await _ask(request, "DELETE", self._network(request))

    def _network(self, request: web.Request) -> str:
        """Give the path of a seat's own network. Raises `Refused` for any other."""
        name = request.match_info["network"]
        if not self._seats.named(name):
            raise Refused(f"the network {name!r}")
        return f"/networks/{name}"

    async def _each(self, request: web.Request, part: str, path: str, body: Mapping[str, Any]) -> web.Response:
        """Ask it of each container of a part. The first answer that is none of success is the answer."""
        _query(request, {})
        answer = _told(404, f"no container of {part} runs")
        for container in await self._containers(request, part):
            asked = await _ask(request, "POST", path, body={**body, "Container": container})
            if asked.status >= 300 and "already exists" not in (asked.text or ""):
                return asked
            answer = web.Response(status=200, content_type="application/json")
        return answer

    async def _containers(self, request: web.Request, part: str) -> list[str]:
        """Find the running containers of a part: those of a service of this Compose project, or the one so named."""
        labels = [f"com.docker.compose.project={await self._project(request)}", f"com.docker.compose.service={part}"]
        for wanted in ({"label": labels}, {"name": [f"^/{re.escape(part)}$"]}):
            found = await _ask(request, "GET", "/containers/json", {"filters": json.dumps(wanted)})
            if found.status == 200 and (told := json.loads(found.text or "[]")):
                return [str(container["Id"]) for container in told]
        return []

    async def _project(self, request: web.Request) -> str:
        """Name the Compose project that this very container is of; nothing is of the one without a name."""
        found = await _ask(request, "GET", f"/containers/{quote(gethostname(), safe='')}/json")
        labels = json.loads(found.text or "{}").get("Config", {}).get("Labels") or {}
        return str(labels.get("com.docker.compose.project", ""))

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


async def _body(request: web.Request) -> Any:
    """Read a body. Raises `Refused` if it is no JSON."""
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError):
        raise Refused("the body") from None


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
