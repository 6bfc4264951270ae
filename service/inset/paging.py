"""Cursors: opaque marks of where a list, newest first, goes on."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col

from inset.errors import InvalidCursor

Row = TypeVar("Row")


def page(rows: Sequence[Row], limit: int, mark: Callable[[Row], list[str | int]]) -> tuple[Sequence[Row], str | None]:
    """Cut `limit + 1` fetched rows to a page, with the cursor of the next one if there is more."""
    shown = rows[:limit]
    more = len(rows) > limit
    return shown, _encode(mark(shown[-1])) if more else None


def number_before(cursor: str) -> int:
    """Read a cursor of a list that is ordered by a number. Raises `InvalidCursor`."""
    match _decode(cursor):
        case [int(number)] if 0 <= number < 2**31:
            return number
    raise InvalidCursor


def older_than(cursor: str, created_at: datetime, id: str) -> ColumnElement[bool]:
    """Give the condition for rows after a cursor in a list ordered by time and id (given as the table's columns).

    Raises `InvalidCursor`.
    """
    match _decode(cursor):
        case [str(time), str(last)] if last.isalnum() and last.isascii():
            try:
                moment = datetime.fromisoformat(time).astimezone(UTC)
            except ValueError as exc:
                raise InvalidCursor from exc
            return or_(col(created_at) < moment, and_(col(created_at) == moment, col(id) < last))
    raise InvalidCursor


def _encode(mark: list[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(mark).encode()).decode().rstrip("=")


def _decode(cursor: str) -> object:
    try:
        return json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as exc:
        raise InvalidCursor from exc
