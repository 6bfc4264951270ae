"""Finds a request's route by its method and the shape of its path, instead of trying one route after the other."""

from collections import defaultdict
from collections.abc import Sequence

from fastapi.routing import APIRoute
from starlette._utils import get_route_path
from starlette.convertors import StringConvertor
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

_HEAD = 3
"""The segments of a path that its shape has, the empty one before the first slash too: nearly as good as the path."""


class RouteTable(BaseRoute):
    """Stands before the routes that it holds. What it has no route for is left to them: other methods, other paths."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes: dict[tuple[object, ...], list[APIRoute]] = defaultdict(list)
        for route in routes:
            if isinstance(route, APIRoute) and _is_fixed(route):
                for method in route.methods or ():
                    self._routes[_shape(method, route.path)].append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Find the route, which Starlette then takes for the request's."""
        if scope["type"] == "http":
            for route in self._routes.get(_shape(scope["method"], get_route_path(scope)), ()):
                match, found = route.matches(scope)
                if match is Match.FULL:
                    return match, found
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the route answer that was found."""
        await scope["route"].app(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: object) -> str:  # type: ignore[override]
        """Leave it to the routes themselves."""
        raise NoMatchFound(name, path_params)


def _is_fixed(route: APIRoute) -> bool:
    """Tell whether all paths of a route have as many segments, and the same first ones."""
    head = "/".join(route.path.split("/")[:_HEAD])
    return "{" not in head and all(type(found) is StringConvertor for found in route.param_convertors.values())


def _shape(method: str, path: str) -> tuple[object, ...]:
    segments = path.split("/")
    return method, len(segments), *segments[:_HEAD]
