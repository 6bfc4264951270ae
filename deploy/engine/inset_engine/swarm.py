"""A manager's API, as far as SwarmSpawner needs it for the seats."""

import json
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from inset_engine.calls import VERSION, ask, before_engine, read_body, read_query
from inset_engine.checks import Refused
from inset_engine.services import SeatServices

_SERVICE = VERSION + r"/services/{service:[A-Za-z0-9][A-Za-z0-9_.-]{0,127}}"


def create_swarm_app(seats: SeatServices, socket: Path) -> web.Application:
    """Stand before the manager that listens on a socket."""
    proxy = _Proxy(seats)
    return before_engine(
        socket,
        [
            web.post(VERSION + "/services/create", proxy.create),
            web.get(_SERVICE, proxy.inspect),
            web.delete(_SERVICE, proxy.remove),
            web.get(VERSION + "/tasks", proxy.tasks),
            web.get(VERSION + r"/networks/{network:[a-z0-9-]{1,128}}", proxy.network),
        ],
    )


class _Proxy:
    def __init__(self, seats: SeatServices) -> None:
        self._seats = seats

    async def create(self, request: web.Request) -> web.Response:
        read_query(request, {})
        return await ask(request, "POST", "/services/create", body=self._seats.body(await read_body(request)))

    async def inspect(self, request: web.Request) -> web.Response:
        read_query(request, {})
        # By its id from here on: a name can pass to another service in between.
        return await ask(request, "GET", f"/services/{await self._seat(request)}")

    async def remove(self, request: web.Request) -> web.Response:
        read_query(request, {})
        return await ask(request, "DELETE", f"/services/{await self._seat(request)}")

    async def tasks(self, request: web.Request) -> web.Response:
        """Show the tasks of one seat's services: of the present one, or of all whose name begins so, up to the dot."""
        filters = request.query.get("filters", "")
        if set(request.query) != {"filters"} or len(request.query.getall("filters")) > 1:
            raise Refused("the query")
        try:
            [(by, [name])] = json.loads(filters).items()
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise Refused("the filters") from None
        if by not in ("service", "name") or not isinstance(name, str) or name.endswith(".") != (by == "name"):
            raise Refused("the filters")
        self._seats.seat(name.removesuffix("."))
        return await ask(request, "GET", "/tasks", {"filters": json.dumps({by: [name]})})

    async def network(self, request: web.Request) -> web.Response:
        read_query(request, {})
        name = request.match_info["network"]
        if not self._seats.own_network(name):
            raise Refused(f"the network {name!r}")
        return await ask(request, "GET", f"/networks/{name}")

    async def _seat(self, request: web.Request) -> str:
        """Find the id of the seat's service that a request names. Raises `Refused` if it is no seat's."""
        service = request.match_info["service"]
        found = await ask(request, "GET", f"/services/{quote(service)}")
        if found.status == 404:
            raise web.HTTPNotFound(text=found.text, content_type="application/json")
        if found.status != 200:
            raise Refused(f"the service {service!r}, which the engine answers {found.status} for")
        told = json.loads(found.text or "")
        self._seats.seat(str(told["Spec"]["Name"]))
        return str(told["ID"])
