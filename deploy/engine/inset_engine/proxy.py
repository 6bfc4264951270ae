"""The engine's API, as far as DockerSpawner needs it for the seats."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from socket import gethostname
from typing import Any
from urllib.parse import quote

from aiohttp import web

from inset_engine.bodies import Seats
from inset_engine.calls import VERSION, ask, before_engine, read_body, read_query, told
from inset_engine.checks import Refused
from inset_engine.networks import connected, network_body

_CONTAINER = VERSION + r"/containers/{container:[A-Za-z0-9][A-Za-z0-9_.-]{0,127}}"
_NETWORK = VERSION + r"/networks/{network:[a-z0-9-]{1,128}}"
_FLAG = re.compile("[Tt]rue|[Ff]alse|0|1")
_OFF = re.compile("[Ff]alse|0")
_SECONDS = re.compile("[0-9]{1,3}")
_NAME = re.compile("[a-z0-9-]{1,128}")


def create_app(seats: Seats, socket: Path) -> web.Application:
    """Stand before the engine that listens on a socket."""
    proxy = _Proxy(seats)
    return before_engine(
        socket,
        [
            web.get(VERSION + "/images/{image:.+}/json", proxy.image),
            web.post(VERSION + "/containers/create", proxy.create),
            web.get(_CONTAINER + "/json", proxy.inspect),
            web.post(_CONTAINER + "/start", proxy.start),
            web.post(_CONTAINER + "/stop", proxy.stop),
            web.delete(_CONTAINER, proxy.remove),
            web.post(VERSION + "/networks/create", proxy.create_network),
            web.get(_NETWORK, proxy.inspect_network),
            web.post(_NETWORK + "/connect", proxy.connect),
            web.post(_NETWORK + "/disconnect", proxy.disconnect),
            web.delete(_NETWORK, proxy.remove_network),
        ],
    )


class _Proxy:
    def __init__(self, seats: Seats) -> None:
        self._seats = seats

    async def image(self, request: web.Request) -> web.Response:
        read_query(request, {})
        image = request.match_info["image"]
        if image not in self._seats.images:
            raise Refused(f"the image {image!r}")
        return await ask(request, "GET", f"/images/{quote(image)}/json")

    async def create(self, request: web.Request) -> web.Response:
        name = read_query(request, {"name": _NAME}).get("name", "")
        if not self._seats.named(name):
            raise Refused(f"the name {name!r}")
        body = self._seats.body(name, await read_body(request))
        return await ask(request, "POST", "/containers/create", {"name": name}, body)

    async def inspect(self, request: web.Request) -> web.Response:
        read_query(request, {})
        # By its id from here on: a name can pass to another container in between.
        return await ask(request, "GET", f"/containers/{await self._seat(request)}/json")

    async def start(self, request: web.Request) -> web.Response:
        read_query(request, {})
        return await ask(request, "POST", f"/containers/{await self._seat(request)}/start")

    async def stop(self, request: web.Request) -> web.Response:
        query = read_query(request, {"t": _SECONDS})
        return await ask(request, "POST", f"/containers/{await self._seat(request)}/stop", query)

    async def remove(self, request: web.Request) -> web.Response:
        query = read_query(request, {"v": _FLAG, "force": _FLAG, "link": _OFF})
        return await ask(request, "DELETE", f"/containers/{await self._seat(request)}", query)

    async def create_network(self, request: web.Request) -> web.Response:
        read_query(request, {})
        body = network_body(self._seats, await read_body(request))
        return await ask(request, "POST", "/networks/create", body=body)

    async def inspect_network(self, request: web.Request) -> web.Response:
        read_query(request, {})
        return await ask(request, "GET", self._network(request))

    async def connect(self, request: web.Request) -> web.Response:
        part = connected(self._seats, await read_body(request))
        endpoint = {"EndpointConfig": {"Aliases": [part]}}
        return await self._each(request, part, f"{self._network(request)}/connect", endpoint)

    async def disconnect(self, request: web.Request) -> web.Response:
        part = connected(self._seats, await read_body(request))
        return await self._each(request, part, f"{self._network(request)}/disconnect", {})

    async def remove_network(self, request: web.Request) -> web.Response:
        read_query(request, {})
        return await ask(request, "DELETE", self._network(request))

    def _network(self, request: web.Request) -> str:
        """Give the path of a seat's own network. Raises `Refused` for any other."""
        name = request.match_info["network"]
        if not self._seats.named(name):
            raise Refused(f"the network {name!r}")
        return f"/networks/{name}"

    async def _each(self, request: web.Request, part: str, path: str, body: Mapping[str, Any]) -> web.Response:
        """Ask it of each container of a part. The first answer that is none of success is the answer."""
        read_query(request, {})
        answer = told(404, f"no container of {part} runs")
        for container in await self._containers(request, part):
            asked = await ask(request, "POST", path, body={**body, "Container": container})
            if asked.status >= 300 and "already exists" not in (asked.text or ""):
                return asked
            answer = web.Response(status=200, content_type="application/json")
        return answer

    async def _containers(self, request: web.Request, part: str) -> list[str]:
        """Find the running containers of a part: those of a service of this Compose project, or the one so named."""
        labels = [f"com.docker.compose.project={await self._project(request)}", f"com.docker.compose.service={part}"]
        for wanted in ({"label": labels}, {"name": [f"^/{re.escape(part)}$"]}):
            found = await ask(request, "GET", "/containers/json", {"filters": json.dumps(wanted)})
            if found.status == 200 and (told := json.loads(found.text or "[]")):
                return [str(container["Id"]) for container in told]
        return []

    async def _project(self, request: web.Request) -> str:
        """Name the Compose project that this very container is of; nothing is of the one without a name."""
        found = await ask(request, "GET", f"/containers/{quote(gethostname(), safe='')}/json")
        labels = json.loads(found.text or "{}").get("Config", {}).get("Labels") or {}
        return str(labels.get("com.docker.compose.project", ""))

    async def _seat(self, request: web.Request) -> str:
        """Find the id of the seat's container that a request names. Raises `Refused` if it is no seat's."""
        container = request.match_info["container"]
        found = await ask(request, "GET", f"/containers/{container}/json")
        if found.status == 404:
            raise web.HTTPNotFound(text=found.text, content_type="application/json")
        if found.status != 200:
            raise Refused(f"the container {container!r}, which the engine answers {found.status} for")
        told = json.loads(found.text or "")
        if not self._seats.named(str(told["Name"]).removeprefix("/")):
            raise Refused(f"the container {container!r}")
        return str(told["Id"])
