"""An ASGI app on a real socket in the test's own event loop, with its lifespan."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from tests.support.real_hub import free_ports


@contextlib.asynccontextmanager
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
        server.leave()
        await task


class _Prompt(uvicorn.Server):
    """Leaves as uvicorn does, without its pauses of a tenth of a second, which thousands of tests would wait for."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for _ in range(3):  # turns of the loop, in which those that were idle are gone
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._wait_tasks_to_complete()
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()
        await self.lifespan.shutdown()
