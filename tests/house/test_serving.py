"""The server that tests run in their own loop leaves nothing open, whenever it goes."""

import asyncio
import gc
import socket
import warnings
from typing import Any

import pytest

from tests.support.serving import served


async def _app(scope: Any, receive: Any, send: Any) -> None:
    while scope["type"] == "lifespan":
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


async def _connect(url: str, *, after_turns: int) -> None:
    for _ in range(after_turns):
        await asyncio.sleep(0)
    with socket.socket() as client:
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", int(url.rpartition(":")[2])))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("turns", range(16))
def test_who_connects_while_it_leaves_is_not_left_open(turns: int):
    async def leave() -> None:
        async with served(_app) as url:
            late = asyncio.create_task(_connect(url, after_turns=turns))
        await late

    gc.collect()  # what others have left is none of this test's
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(leave())
        gc.collect()
    assert [str(one.message) for one in told] == []
