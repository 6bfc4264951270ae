"""Lists, page by page."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from inset_client.testkit.problems import FakeProblem, invalid


def page(request: Request, items: list[Any]) -> Response:
    """Answer the part of a list that is asked for."""
    cursor, limit = request.query_params.get("cursor", "0"), request.query_params.get("limit", "50")
    if not cursor.isdecimal():
        raise FakeProblem(422, "invalid-cursor", "Cursor not valid", "Take it from `next_cursor`.")
    if not limit.isdecimal() or not 0 < int(limit) <= 100:
        raise invalid("query.limit", "Input should be from 1 to 100")
    end = int(cursor) + int(limit)
    return JSONResponse({"items": items[int(cursor) : end], "next_cursor": str(end) if end < len(items) else None})
