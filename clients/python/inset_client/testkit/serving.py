"""An ASGI app on a socket, in a thread of its own, so that code that waits can be tested as well."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

_STARTS_WITHIN = 60.0


@contextmanager
def listening() -> Iterator[socket.socket]:
    """Take a free port before there is an app, which may have to know it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken


@contextmanager
def served(app: Any, taken: socket.socket) -> Iterator[None]:
    """Serve with the app's lifespan until the block is left."""
    config = uvicorn.Config(app, log_level="warning", loop="asyncio", ws="none", timeout_graceful_shutdown=1)
    server = _Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    try:
        if not server.up.wait(_STARTS_WITHIN) or not server.started:
            raise RuntimeError("the app did not start")
        yield
    finally:
        server.should_exit = True
        thread.join()


class _Server(uvicorn.Server):
    """Says when it is up, or will never be."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.up.set()
