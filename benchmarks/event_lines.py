"""A stream of server-sent events, as its lines come."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp


async def events_of(stream: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    """Give each event's id, kind and data, until the stream ends."""
    fields: dict[str, str] = {}
    async for line in stream.content:
        name, _, value = line.decode().strip().partition(": ")
        if name:
            fields[name] = value
            continue
        if "data" in fields:
            yield fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"])
        fields.clear()
