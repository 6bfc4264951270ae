"""Websockets to a seat's server, as a browser opens them: through the proxy, from an origin, with cookies."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.support.real_hub import RealHub


@asynccontextmanager
async def websocket(
    hub: RealHub,
    seat: str,
    path: str,
    *,
    token: str = "",
    cookies: Mapping[str, str] | None = None,
    origin: str | None = None,
    protocol: str | None = None,
) -> AsyncIterator[ClientConnection]:
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())} if cookies else {}
    if token:
        headers["Authorization"] = f"token {token}"
    address = f"ws://{hub.seat_host(seat)}/user/{seat}/{path}"
    async with connect(
        address,
        host="127.0.0.1",
        port=hub.port,
        origin=origin or hub.seat_origin(seat),  # type: ignore[arg-type]
        additional_headers=headers,
        subprotocols=[protocol] if protocol else None,  # type: ignore[list-item]
        max_size=None,
        open_timeout=60,  # one to a kernel that starts is answered once it has
        proxy=None,
    ) as connection:
        yield connection


async def refused_websocket(
    hub: RealHub, seat: str, path: str, *, cookies: Mapping[str, str] | None = None, origin: str | None = None
) -> None:
    """Assert that the handshake is refused."""
    with pytest.raises(InvalidStatus) as refusal:
        async with websocket(hub, seat, path, cookies=cookies, origin=origin):
            pass
    assert refusal.value.response.status_code == 403
