"""One opening of a notebook: when it reached which phase, and how its page would go on to its kernel."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp

PHASES = ("accepted", "server", "restored", "signed", "result")
"""Session accepted, server ready, content restored, signed URL in hand, first cell's result."""

FIRST_CELL = "print(6 * 7)"
_CELL: dict[str, Any] = {
    "cell_type": "code",
    "execution_count": None,
    "id": "one",
    "metadata": {},
    "outputs": [],
    "source": FIRST_CELL,
}
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
NOTEBOOK: dict[str, Any] = {"cells": [_CELL], "metadata": {"kernelspec": _KERNEL}, "nbformat": 4, "nbformat_minor": 5}


@dataclass
class Watch:
    """Seconds from the click to each phase."""

    begin: float = field(default_factory=time.perf_counter)
    reached: dict[str, float] = field(default_factory=dict)

    def at(self, phase: str) -> None:
        self.reached[phase] = time.perf_counter() - self.begin


@dataclass(frozen=True)
class Opened:
    """A notebook that is ready for its page."""

    url: str
    """What the frame is set to."""
    base: str
    """The server's address as Python reaches it: `http://127.0.0.1:…/user/name/`."""
    headers: Mapping[str, str]
    """With which the page's own requests are let in."""
    path: str


async def first_result(opened: Opened) -> None:
    """Start the notebook's kernel and run its first cell, as the page does."""
    wish = {"path": opened.path, "name": "n", "type": "notebook", "kernel": {"name": "python3"}}
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(opened.base, headers=dict(opened.headers), timeout=timeout) as http:
        async with http.post("api/sessions", json=wish) as answer:
            answer.raise_for_status()
            kernel = (await answer.json())["kernel"]["id"]
        async with http.ws_connect(f"api/kernels/{kernel}/channels") as channels:
            await channels.send_json(execute_request(FIRST_CELL))
            async for message in channels:
                told = json.loads(message.data)
                if told["msg_type"] == "stream":
                    assert told["content"]["text"] == "42\n"
                    return
    raise AssertionError("the kernel's connection ended")


def execute_request(code: str) -> dict[str, Any]:
    """Write the message by which a page has code run, for its kernel's websocket."""
    header = {"msg_id": uuid4().hex, "username": "", "session": "s", "msg_type": "execute_request", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }
