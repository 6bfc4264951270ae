"""Routes whose dependencies are laid out in one row when the app is made.

FastAPI walks a route's graph of dependencies anew for each request, and each of them as often as others depend on it:
that takes longer than all that they do. It still reads the signatures, documents them and validates by them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import cached_property
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any, NamedTuple

from fastapi import Request, Response
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.utils import create_model_field
from starlette.types import ASGIApp, Receive, Scope, Send

from inset.event_stream import EventStream

_REQUEST, _TOLD = 0, 1
"""The first places in a row of values: the request, and an answer that is only told a status and headers."""


_PLAIN = (str, int, type(None))


class FlatRoute(APIRoute):
    """Answers as FastAPI's own route does. One with a model for its body is left to that."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        responses: dict[int | str, dict[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, endpoint, **options)
        self.responses = responses or {}
        del self.response_fields
        row: list[_Step] = []
        dependant, streams = self.dependant, self.response_class is EventSourceResponse
        if streams:
            dependant = replace(dependant, call=_streaming(endpoint))
        made_here = self.response_field is not None or self.response_class is Response or self.status_code == 204
        self.laid_out = (streams or made_here) and self.body_field is None and _lay_out(dependant, row, {}) is not None
        """Whether it is not left to FastAPI."""
        if self.laid_out:
            self.app = _app(_answering(self, row))

    @cached_property
    def response_fields(self) -> dict[int | str, ModelField]:  # type: ignore[override]
        """What else it may answer, made for who reads the API's description: of all routes they are three hundred."""
        return {
            status: create_model_field(f"Response_{status}_{self.unique_id}", response["model"], mode="serialization")
            for status, response in self.responses.items()
            if "model" in response
        }


def _streaming(endpoint: Callable[..., AsyncIterator[ServerSentEvent]]) -> Callable[..., Awaitable[Response]]:
    async def stream(**given: Any) -> Response:
        return EventStream(endpoint(**given))

    return stream


class _Step(NamedTuple):
    """A dependency, or last of all the endpoint."""

    call: Callable[..., Any]
    entered: bool
    """Whether it is a generator, which is left once the answer is made."""
    needs: list[tuple[str, int]]
    """Its parameters that are there already, and their places."""
    texts: list[tuple[str, str]]
    """Its parameters that are texts of the path, as they are there."""
    options: list[tuple[str, Any]]
    """Its parameters that are texts the request need not say, by where it would."""
    fields: list[tuple[str, list[Any], dict[str, Any] | None]]
    """Its others that the request says, by where it does, with what they are if it says none of them."""


def _lay_out(of: Dependant, row: list[_Step], places: dict[Any, int]) -> int | None:
    """Append a dependency to the row, after all that it needs; give its place, or None if FastAPI does more for it."""
    if (of.call, of.scope) in places:
        return places[of.call, of.scope]
    entered = isasyncgenfunction(of.call) and of.scope == "function"
    awaited = iscoroutinefunction(of.call) or iscoroutinefunction(getattr(of.call, "__call__", None))  # noqa: B004
    if of.call is None or not (entered or awaited) or of.cookie_params or of.background_tasks_param_name:
        return None
    given = {of.request_param_name: _REQUEST, of.http_connection_param_name: _REQUEST, of.response_param_name: _TOLD}
    needs = [(name, place) for name, place in given.items() if name]
    for dependency in of.dependencies:
        place = _lay_out(dependency, row, places)
        if place is None:
            return None
        if dependency.name:
            needs.append((dependency.name, place))
    texts = [field for field in of.path_params if field.field_info.annotation is str and not field.field_info.metadata]
    named = [(field.name, field.alias) for field in texts]
    path = [field for field in of.path_params if field not in texts]
    sources = {"path_params": path, "query_params": of.query_params, "headers": of.header_params}
    options = [(source, field) for source, found in sources.items() for field in found if _is_optional_text(field)]
    rest = {source: [field for field in found if not _is_optional_text(field)] for source, found in sources.items()}
    fields = [(source, found, _defaults(found)) for source, found in rest.items() if found]
    row.append(_Step(asynccontextmanager(of.call) if entered else of.call, entered, needs, named, options, fields))
    places[of.call, of.scope] = _TOLD + len(row)
    return _TOLD + len(row)


def _is_optional_text(field: Any) -> bool:
    info = field.field_info
    return info.annotation in (str, str | None) and not info.is_required() and isinstance(field.default, _PLAIN)


def _defaults(fields: list[Any]) -> dict[str, Any] | None:
    """Give what parameters are that a request need not say; None if it must, or if that is more than a plain value."""
    if any(field.field_info.is_required() or not isinstance(field.default, _PLAIN) for field in fields):
        return None
    return {field.name: field.default for field in fields}


def _answering(route: APIRoute, row: list[_Step]) -> Callable[[Request, AsyncExitStack], Awaitable[Response]]:
    field, tells = route.response_field, any(place == _TOLD for step in row for _, place in step.needs)

    async def answer(request: Request, stack: AsyncExitStack) -> Response:
        told = _untold() if tells else None
        values: list[Any] = [request, told]
        errors: list[Any] = []
        for call, entered, needs, texts, options, fields in row:
            given = {name: values[place] for name, place in needs}
            for name, alias in texts:
                given[name] = request.path_params[alias]
            for source, option in options:
                said = getattr(request, source)
                if option.alias not in said:
                    given[option.name] = option.default
                else:
                    place = option.field_info.in_.value, option.alias
                    given[option.name], wrong = option.validate(said[option.alias], loc=place)
                    errors += wrong
            for source, wanted, otherwise in fields:
                received = getattr(request, source)
                if otherwise is None or any(field.alias in received for field in wanted):
                    found, wrong = request_params_to_args(wanted, received)
                    given.update(found)
                    errors += wrong
                else:
                    given.update(otherwise)
            if errors:
                values.append(None)  # what else is wrong is told with it, and nothing is done any more
            elif entered:
                values.append(await stack.enter_async_context(call(**given)))
            else:
                values.append(await call(**given))
        if errors:
            raise RequestValidationError(errors)
        made = values[-1]
        if not isinstance(made, Response):
            status = (told and told.status_code) or route.status_code or 200
            made = Response(field and _dumped(field, made), status, media_type="application/json")
        if told:
            made.headers.raw.extend(told.headers.raw)
        return made

    return answer


def _dumped(field: Any, made: object) -> bytes:
    checked, errors = field.validate(made, loc=("response",))
    if errors:
        raise ResponseValidationError(errors=errors)
    dumped: bytes = field.serialize_json(checked)
    return dumped


def _untold() -> Response:
    told = Response()
    del told.headers["content-length"]
    told.status_code = None  # type: ignore[assignment]
    return told


def _app(answer: Callable[[Request, AsyncExitStack], Awaitable[Response]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as stack:
            response = await answer(Request(scope, receive, send), stack)
        await response(scope, receive, send)

    return app
