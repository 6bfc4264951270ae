"""The websockets that browsers hold open, and who holds them.

A websocket is checked when it opens and never again, so what a session's end must cut is kept here.
"""

import weakref
from collections.abc import Collection

from jupyter_server.services.events.handlers import SubscribeWebsocket
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from tornado.websocket import WebSocketHandler

from inset_bridge.entries import Entry

OVER = 4401
"""The close code: this entry is over, connecting again will not help."""


class Sockets:
    def __init__(self) -> None:
        self._holders: weakref.WeakKeyDictionary[WebSocketHandler, Entry | None] = weakref.WeakKeyDictionary()

    def add(self, handler: WebSocketHandler, entry: Entry | None) -> None:
        """`entry` is None for whoever came with a hub token of his own, such as the service."""
        self._holders[handler] = entry

    def pages(self) -> int:
        """How many pages listen to this server's events, as every Jupyter page does."""
        return sum(isinstance(handler, SubscribeWebsocket) and entry is not None for handler, entry in self._open())

    def close_kernels(self, kernel_ids: Collection[str]) -> None:
        """Cut who is at these kernels: Jupyter leaves the websockets of a kernel that is gone open."""
        for handler, _ in self._open():
            if isinstance(handler, KernelWebsocketHandler) and handler.kernel_id in kernel_ids:
                _close(handler)

    def close_ended(self) -> None:
        """Cut what belongs to entries that are over."""
        for handler, entry in self._open():
            if entry is not None and not entry.live:
                _close(handler)

    def _open(self) -> list[tuple[WebSocketHandler, Entry | None]]:
        # A handler is added before its handshake, and has a connection from then until it is closed.
        return [held for held in list(self._holders.items()) if held[0].ws_connection is not None]


def _close(handler: WebSocketHandler) -> None:
    # Until the browser answers, tornado goes on handing over what it sends. Jupyter would have the kernel run that; or
    # read it by another protocol, which a closed handler no longer knows, and the whole server stand still for seconds.
    handler.on_message = _ignore  # type: ignore[method-assign]
    handler.close(OVER, "session over")


def _ignore(message: str | bytes) -> None:
    pass
