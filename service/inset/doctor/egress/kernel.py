"""Code that runs in a server's kernel, as its user's would; what it prints comes back."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from inset.models import Server

_LARGEST = 1 << 20


class KernelSilent(Exception):
    """The kernel could not be asked: it did not start, or its connection ended."""


class Kernel:
    """The kernel of one server's notebook, dialled at the hub's proxy with a token for that server."""

    def __init__(self, http: httpx.AsyncClient, *, dial: str, server: Server, token: str, path: str) -> None:
        public = urlsplit(server.url or "")
        self._http = http
        self._dial = urlsplit(dial)
        self._base = public.path
        self._headers = {"Host": public.netloc, "Authorization": f"token {token}"}
        self._public = public
        self._path = path

    async def run(self, code: str, *, within: timedelta) -> str:
        """Run code in it, and give what it printed. Raises `KernelSilent`."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                id = await self._started()
                address = f"ws://{self._public.netloc}{self._base}api/kernels/{id}/channels?session_id={uuid4().hex}"
                headers = {"Authorization": self._headers["Authorization"]}
                async with connect(
                    address,
                    host=self._dial.hostname,
                    port=self._dial.port or 80,
                    additional_headers=headers,
                    max_size=_LARGEST,
                    proxy=None,
                ) as channels:
                    return await _executed(channels, code)
        except (httpx.HTTPError, OSError, TimeoutError, WebSocketException, ValueError, KeyError) as exc:
            raise KernelSilent from exc

    async def _started(self) -> str:
        wish = {
            "path": self._path,
            "name": self._path.rpartition("/")[2],
            "type": "notebook",
            "kernel": {"name": "python3"},
        }
        url = f"{self._dial.geturl()}{self._base}api/sessions"
        answer = await self._http.post(url, json=wish, headers=self._headers)
        return str(answer.raise_for_status().json()["kernel"]["id"])


async def _executed(channels: ClientConnection, code: str) -> str:
    id, printed = uuid4().hex, ""
    header = {"msg_id": id, "username": "", "session": uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await channels.send(json.dumps(request))
    async for message in channels:
        told: dict[str, Any] = json.loads(message)
        if told["parent_header"].get("msg_id") != id:
            continue
        if told["msg_type"] == "stream":
            printed += told["content"]["text"]
        if told["msg_type"] == "status" and told["content"]["execution_state"] == "idle":
            return printed
    raise KernelSilent
