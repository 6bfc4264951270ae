"""Code that runs in a notebook's own kernel, as a page has it run: what it printed comes back."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx

from tests.support.real_hub import RealHub
from tests.support.websocket import websocket


async def start_kernel(http: httpx.AsyncClient, path: str) -> str:
    """Start a notebook's kernel, or find the one it has; gives its id."""
    for session in (await http.get("api/sessions")).json():
        if session["path"] == path:
            return str(session["kernel"]["id"])
    folder, _, name = path.rpartition("/")
    # A page makes a path up for its session, and says the notebook's when the kernel runs.
    wish = {"path": f"{folder}/{uuid4()}", "name": name, "type": "notebook", "kernel": {"name": "python3"}}
    answer = await http.post("api/sessions", json=wish)
    assert answer.status_code == 201, answer.text
    moved = await http.patch(f"api/sessions/{answer.json()['id']}", json={"path": path})
    assert moved.status_code == 200, moved.text
    return str(answer.json()["kernel"]["id"])


async def run_in_kernel(hub: RealHub, seat: str, token: str, kernel_id: str, code: str, *, within: float = 60) -> str:
    """Run code to its end; gives what it printed, and the text of its error if it failed."""
    request, printed = execution(code), ""
    message_id = request["header"]["msg_id"]
    async with (
        asyncio.timeout(within),
        websocket(hub, seat, f"api/kernels/{kernel_id}/channels?session_id=s", token=token) as channels,
    ):
        await channels.send(json.dumps(request))
        async for message in channels:
            told = json.loads(message)
            if told["parent_header"].get("msg_id") != message_id:
                continue
            match told["msg_type"]:
                case "stream":
                    printed += told["content"]["text"]
                case "error":
                    printed += f"{told['content']['ename']}: {told['content']['evalue']}"
                case "status" if told["content"]["execution_state"] == "idle":
                    return printed
    raise AssertionError(f"the kernel's connection ended: {printed}")


def execution(code: str) -> dict[str, Any]:
    """Give the message that has a kernel run code, as Jupyter's older protocol sends it: in one piece of JSON."""
    header = {"msg_id": uuid4().hex, "username": "", "session": "s", "msg_type": "execute_request", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
