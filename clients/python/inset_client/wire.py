"""Requests and answers, without sending them: what both clients have in common."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, cast
from urllib.parse import quote
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError

from inset_client.content import Document
from inset_client.errors import InsetError, Unreachable
from inset_client.operations import Operation
from inset_client.problems import Problem

Answered = TypeVar("Answered")


@dataclass(frozen=True)
class Call:
    """What is asked by an operation, the same at each try."""

    path: Mapping[str, object] = field(default_factory=dict)
    query: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Document | None = None
    key: str | None = None
    """The `Idempotency-Key`; left out: one of its own, where the operation takes one."""
    read_timeout: float | None = None
    """Seconds of silence after which the answer is given up, if others than the client's."""


def request_of(operation: Operation[Any], call: Call) -> dict[str, Any]:
    """Write a call as arguments of httpx, all but a body that is a file."""
    headers = dict(call.headers)
    if operation.once:
        headers["Idempotency-Key"] = call.key or uuid4().hex
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    places = {name: quote(str(value), safe="") for name, value in call.path.items()}
    return {
        "method": operation.method,
        "url": operation.path.format_map(places),
        "params": {name: value for name, value in call.query.items() if value is not None},
        "headers": headers,
        "content": None if isinstance(call.body, Path) else _written(call.body),
    }


def answer_of(operation: Operation[Answered], response: httpx.Response) -> Answered:
    """Read what an operation answers. Raises `InsetError` for what the service can't have said."""
    kind: Any = operation.answer
    if kind is NoneType:
        return cast(Answered, None)
    if kind in (bytes, str):
        return cast(Answered, response.content if kind is bytes else response.text)
    model: type[BaseModel] = kind
    try:
        return cast(Answered, model.model_validate_json(response.content))
    except ValidationError as exc:
        raise InsetError(f"The answer to {operation.method} {operation.path} is not one of Inset's.") from exc


def failure_of(operation: Operation[Any], outcome: httpx.Response | httpx.TransportError) -> InsetError:
    """Give the exception for a call that came to nothing."""
    if isinstance(outcome, httpx.TransportError):
        return Unreachable(f"{operation.method} {operation.path}: {type(outcome).__name__}: {outcome}")
    try:
        said = outcome.json()
    except ValueError:
        said = None
    return Problem.from_answer(outcome.status_code, said)


def _written(body: Mapping[str, Any] | bytes | None) -> bytes | None:
    return body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
