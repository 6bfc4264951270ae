"""The best that a client does without a service of its own: kept connections, concurrent calls, the progress stream.

It calls a hub as Inset configures it, and loads the notebook as Inset does.
"""

import asyncio
import hashlib
import json
from uuid import uuid4

import aiohttp

from benchmarks.story.opening import NOTEBOOK, Opened, Watch
from tests.support.real_hub import RealHub

_CONTENT = json.dumps(NOTEBOOK)


class DirectClient:
    """Keeps its connections to the hub and to its proxy, where the servers are."""

    def __init__(self, hub: RealHub, origin: str) -> None:
        self._hub, self._origin = hub, origin
        timeout = aiohttp.ClientTimeout(total=120)
        authorization = {"Authorization": f"token {hub.token}"}
        self._api = aiohttp.ClientSession(f"{hub.api_url}/", headers=authorization, timeout=timeout)
        # The proxy closes what idles for six seconds.
        self._servers = aiohttp.ClientSession(connector=aiohttp.TCPConnector(keepalive_timeout=4), timeout=timeout)

    async def aclose(self) -> None:
        await self._api.close()
        await self._servers.close()

    async def open_notebook(self, seat: str, name: str, watch: Watch) -> Opened:
        """Start the seat's server while a token for it is made, follow it, and load the notebook."""
        async with asyncio.TaskGroup() as at_once:
            minting = at_once.create_task(self._mint(seat))
            if await self._start(seat):
                watch.at("accepted")
                await self._until_ready(seat)
            else:
                watch.at("accepted")
            watch.at("server")
        headers = {"Authorization": f"token {minting.result()}", "Host": self._hub.seat_host(seat)}
        base = f"{self._hub.bind_url}/user/{seat}/"
        id = uuid4().hex
        body = {"path": f"work/{id}/{name}", "version": 1, "sha256": hashlib.sha256(_CONTENT.encode()).hexdigest()}
        document = f"{base}inset/api/documents/{id}"
        async with self._servers.put(document, json={**body, "content": _CONTENT}, headers=headers) as answer:
            answer.raise_for_status()
        watch.at("restored")
        watch.at("signed")
        return Opened(
            f"{self._hub.seat_origin(seat)}/user/{seat}/notebooks/{body['path']}", base, headers, f"{body['path']}"
        )

    async def stop(self, seat: str) -> None:
        async with self._api.delete(f"users/{seat}/server"):
            pass
        while True:
            async with self._api.get(f"users/{seat}/servers/") as answer:
                if (await answer.json())["stopped"]:
                    return
            await asyncio.sleep(0.2)

    async def round_trip(self) -> None:
        """Make the least call that the hub answers with the token's owner."""
        async with self._api.get("user") as answer:
            await answer.read()

    async def _start(self, seat: str) -> bool:
        """False if it runs already."""
        options = {"server_id": uuid4().hex, "origins": [self._origin], "may": ["edit", "run", "download", "terminals"]}
        async with self._api.post(f"users/{seat}/server", json={"user_options": options}) as answer:
            assert answer.status in (201, 202) or "already running" in await answer.text(), await answer.text()
            return answer.status == 202

    async def _until_ready(self, seat: str) -> None:
        async with self._api.get(f"users/{seat}/server/progress") as stream:
            async for line in stream.content:
                if line.startswith(b"data:") and (told := json.loads(line.removeprefix(b"data:"))):
                    assert not told.get("failed"), told
                    if told.get("ready"):
                        return

    async def _mint(self, seat: str) -> str:
        wish = {"scopes": [f"access:servers!server={seat}/"], "expires_in": 3600}
        async with self._api.post(f"users/{seat}/tokens", json=wish) as answer:
            answer.raise_for_status()
            return str((await answer.json())["token"])
