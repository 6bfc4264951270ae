"""An ASGI app on a real socket in the test's own event loop, with its lifespan."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn

from tests.support.real_hub import free_ports


class _Prompt(uvicorn.Server):
    """uvicorn without the tenths of a second that it sleeps between its looks: it comes and goes at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leaving = asyncio.Event()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # which sets the time that answers carry, and is uvicorn's own every second
            with suppress(TimeoutError):
                await asyncio.wait_for(self.leaving.wait(), 1)

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for listener in server.sockets:
                loop.remove_reader(listener)
        # What was accepted at the last moment is a connection some turns of the loop later: of a server that is closed
        # by then it becomes none, and nobody closes its socket.
        for _ in range(5):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        until = loop.time() + (self.config.timeout_graceful_shutdown or 0)
        while (self.server_state.connections or self.server_state.tasks) and loop.time() < until:
            await asyncio.sleep(0.002)
        for task in self.server_state.tasks:
            task.cancel()
        # One whose answer was so broken off would never be closed.
        for connection in self.server_state.connections:
            connection.transport.abort()
        await self.lifespan.shutdown()


@asynccontextmanager
async def served(app: Any, port: int | None = None, **options: Any) -> AsyncIterator[str]:
    """Serve until the block is left, with uvicorn's further options; gives the base URL."""
    port = port or free_ports(1)[0]
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        **options,
    )
    server = _Prompt(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            task.result()
            raise AssertionError("the app's lifespan failed")
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        server.leaving.set()
        await task
