"""Whether anybody works here: what the service ends idle servers by.

The hub's own measure takes every request for activity, the service's calls and an open page's polling too. Here only
counts what a person or his code does: a page that is opened, a request that changes something, a kernel or a terminal
at work.
"""

import asyncio
import logging
import re
import time
from typing import Any

from jupyter_server.serverapp import ServerApp
from traitlets import TraitError

from inset_bridge.errors import RefusedByService, ServiceUnavailable
from inset_bridge.service import Service

LOOK_INTERVAL = 15.0
"""Seconds between two looks at the kernels, and so between two reports at the least."""
_OPENED = re.compile(r"(lab|tree|notebooks|edit|consoles|doc)(/.*)?")
_ASKED_FOR = re.compile(r"inset/api/(flush|absent)")
"""What a page answers when the service asks it for edits: those were saved, and counted, before."""


class Activity:
    def __init__(self) -> None:
        self._last = time.time()
        self._told = 0.0

    def requested(self, method: str, path: str) -> None:
        """Note a request of a browser; `path` is below the server's prefix."""
        reading = method in ("GET", "HEAD")
        if _OPENED.fullmatch(path) if reading else not _ASKED_FOR.fullmatch(path):
            self._last = time.time()

    async def run(self, service: Service, app: ServerApp, *, log: logging.Logger) -> None:
        """Tell the service for ever when somebody has worked, as long as there is anything new to tell."""
        while True:
            self._last = max([self._last, *_at_work(app)])
            if self._last > self._told:
                try:
                    await service.active(idle_for=max(time.time() - self._last, 0))
                    self._told = self._last
                except (ServiceUnavailable, RefusedByService) as exc:
                    log.info("The service was not told of this server's activity: %s", type(exc).__name__)
            await asyncio.sleep(LOOK_INTERVAL)


def _at_work(app: ServerApp) -> list[float]:
    """When kernels and terminals were last at work; one that is busy is so now, however long its cell takes."""
    kernels: Any = app.kernel_manager  # its methods have no types
    terminals: Any = app.web_app.settings.get("terminal_manager")
    moments = []
    for kernel_id in kernels.list_kernel_ids():
        kernel = kernels.get_kernel(kernel_id)
        if getattr(kernel, "execution_state", "") == "busy":
            moments.append(time.time())
        else:
            moments += _last_work(kernel)
    for terminal in terminals.terminals.values() if terminals else ():
        moments += _last_work(terminal)
    return moments


def _last_work(worker: Any) -> list[float]:
    """When it was last at work. Of a kernel that is just starting nobody knows, and asking for it raises."""
    try:
        return [worker.last_activity.timestamp()]
    except (AttributeError, TraitError):
        return []
