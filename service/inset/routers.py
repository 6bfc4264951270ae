"""What the API's routers have in common: who may call, what he may be answered, how routes are made and named.

A router carries all of that itself, so that the app takes its routes as they are: FastAPI would make each of them anew
for the app, which takes as long as making it, and look for a request's route in each router twice.
"""

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute

from inset.deps import CALLED, WAKES_DRIVER, count
from inset.errors import (
    TOKEN_PROBLEMS,
    DatabaseUnavailable,
    InternalError,
    InvalidRequest,
    KeysUnavailable,
    NotebookTooLarge,
    OriginNotAllowed,
    RateLimited,
)
from inset.flat import FlatRoute
from inset.problems import responses

_FOR_ALL = responses(NotebookTooLarge, InternalError)
_FOR_HOSTS = responses(*TOKEN_PROBLEMS, OriginNotAllowed, InvalidRequest, KeysUnavailable, DatabaseUnavailable)


def plain_router(prefix: str = "", *, tag: str, in_schema: bool = True) -> APIRouter:
    """Make a router of calls that say for themselves who may make them."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        responses=_FOR_ALL,
        include_in_schema=in_schema,
        route_class=FlatRoute,
        generate_unique_id_function=_operation_id,
    )


def hosts_router(prefix: str, *, tag: str, counted: bool = True, wakes_driver: bool = False) -> APIRouter:
    """Make a router of calls that host applications make, for a user or for themselves.

    They count against the user's rate unless they are not `counted`; those that `wakes_driver` may give it work.
    """
    router = plain_router(prefix, tag=tag)
    router.dependencies = [*([WAKES_DRIVER] if wakes_driver else []), CALLED, *([Depends(count)] if counted else [])]
    router.responses = {**_FOR_ALL, **_FOR_HOSTS, **(responses(RateLimited) if counted else {})}
    return router


def _operation_id(route: APIRoute) -> str:
    """Name an operation by its tag and function, as generated clients will call it."""
    return "-".join([*map(str, route.tags), route.name]).replace(" ", "-").replace("_", "-")
