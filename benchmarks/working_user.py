"""A user with a notebook of his own, as a browser and his host's pages do it: opens it, runs cells, saves, looks again.

All that he was told is stored stands in a ledger, to be held against the database in the end.
"""

import asyncio
import copy
import hashlib
import json
import random
import time
from contextlib import aclosing
from typing import Any

import aiohttp

from benchmarks.story.embedded import EmbeddedClient
from benchmarks.story.opening import NOTEBOOK, Watch, execute_request
from benchmarks.story.parts import Inset
from tests.faults.ledger import Ledger, exact

PATIENCE = 300
"""Seconds that any one thing may take before it counts as an error."""


class WorkingUser:
    """Saves one version after the other, each once the one before is known to be stored."""

    def __init__(self, inset: Inset, name: str, *, seed: int) -> None:
        self.ledger = Ledger()
        self.written: list[float] = []
        """Seconds until Jupyter had acknowledged a save, one after the other."""
        self.stored: list[float] = []
        """Seconds until the host's page was told that the save is in the database."""
        self.ran = 0
        """Cells that were run to their end."""
        self.ready_after = 0.0
        """Seconds from the call that opened the session until its kernel's websocket was open."""
        self._page = EmbeddedClient(inset, name)
        self._name = name
        self._chance = random.Random(f"{seed} {name}")
        self._notebook: dict[str, Any] = copy.deepcopy(NOTEBOOK)
        self._told: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        """Of the kernel; None where its websocket has ended."""
        self._version = 1
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Store a notebook, open it, get in by its signed URL, and start its kernel."""
        began = time.perf_counter()
        content = exact(self._notebook)
        self._id = await self._page.store(f"Work of {self._name}", self._notebook)
        self._acknowledge(1, hashlib.sha256(content).hexdigest())
        async with asyncio.timeout(2 * PATIENCE):
            opened = await self._page.enter(await self._page.open_notebook(self._id, Watch()))
            self._tasks.append(asyncio.create_task(self._follow()))
            # A total would end the kernel's websocket, too.
            endless = aiohttp.ClientTimeout(total=None)
            self._jupyter = aiohttp.ClientSession(opened.base, headers=dict(opened.headers), timeout=endless)
            self._contents = f"api/contents/{opened.path}"
            async with self._jupyter.get(self._contents, params={"type": "notebook", "content": "1"}) as answer:
                answer.raise_for_status()
                shown = (await answer.json())["content"]
            assert exact(shown) == content, "Jupyter shows another notebook than the stored one"
            wish = {"path": opened.path, "name": "n", "type": "notebook", "kernel": {"name": "python3"}}
            async with self._jupyter.post("api/sessions", json=wish) as answer:
                answer.raise_for_status()
                kernel = (await answer.json())["kernel"]["id"]
            self._channels = await self._jupyter.ws_connect(f"api/kernels/{kernel}/channels", max_msg_size=0)
            self._tasks.append(asyncio.create_task(self._listen()))
        self.ready_after = time.perf_counter() - began

    async def work(self, saves: int, *, pause: float) -> None:
        """Save so many times, each after a pause of about so many seconds; before some saves, run the new cell."""
        for _ in range(saves):
            await asyncio.sleep(self._chance.uniform(0.5, 1.5) * pause)
            async with asyncio.timeout(PATIENCE):
                source = f"print('{self._name}', {self._chance.randrange(10**9)} * 2)"
                outputs = await self._run(source) if self._chance.random() < 0.5 else []
                self._notebook["cells"].append(
                    {
                        "cell_type": "code",
                        "execution_count": self.ran if outputs else None,
                        "id": f"cell-{self._version}",
                        "metadata": {},
                        "outputs": outputs,
                        "source": source,
                    }
                )
                await self._save()

    async def close(self) -> None:
        """Shut the page, close the session, and wait until it is over."""
        await self._channels.close()
        await self._jupyter.close()
        async with asyncio.timeout(PATIENCE):
            await self._page.close()
            await asyncio.gather(*self._tasks)

    async def aclose(self) -> None:
        """Let go of all connections, whatever has become of them."""
        for task in self._tasks:
            task.cancel()
        for held in ("_channels", "_jupyter"):
            if hasattr(self, held):
                await getattr(self, held).close()
        await self._page.aclose()

    async def _save(self) -> None:
        content = exact(self._notebook)
        digest = hashlib.sha256(content).hexdigest()
        self.ledger.sent[self._id].add(digest)
        began = time.perf_counter()
        body = {"type": "notebook", "format": "json", "content": self._notebook}
        async with self._jupyter.put(self._contents, json=body) as answer:
            answer.raise_for_status()
        self.written.append(time.perf_counter() - began)
        try:
            async with asyncio.timeout(PATIENCE / 2):
                kind, told = await self._told.get()
        except TimeoutError:
            dead = [task for task in self._tasks if task.done()]
            raise AssertionError(f"version {self._version + 1} of {self._id} was not told; over: {dead}") from None
        assert kind == "saved", f"{kind}: {told}"
        assert (told["version"], told["sha256"]) == (self._version + 1, digest), told
        self.stored.append(time.perf_counter() - began)
        self._version += 1
        self._acknowledge(self._version, digest)

    def _acknowledge(self, version: int, digest: str) -> None:
        self.ledger.acknowledged[self._id, version] = digest
        self.ledger.sent.setdefault(self._id, set()).add(digest)

    async def _run(self, source: str) -> list[dict[str, Any]]:
        request = execute_request(source)
        await self._channels.send_json(request)
        outputs: list[dict[str, Any]] = []
        while told := await self._messages.get():
            if told["parent_header"].get("msg_id") != request["header"]["msg_id"]:
                continue
            assert told["msg_type"] != "error", told["content"]
            if told["msg_type"] == "stream":
                outputs.append({"output_type": "stream", **told["content"]})
            if told["msg_type"] == "status" and told["content"]["execution_state"] == "idle":
                assert outputs, "the cell printed nothing"
                self.ran += 1
                return outputs
        raise AssertionError("the kernel's connection ended")

    async def _listen(self) -> None:
        # All the while, as a page does: whoever does not answer a server's pings is cut.
        async for message in self._channels:
            self._messages.put_nowait(json.loads(message.data))
        self._messages.put_nowait(None)

    async def _follow(self) -> None:
        async with aclosing(self._page.events()) as events:
            async for kind, told in events:
                if kind not in ("progress", "ready", "ending", "ended"):
                    self._told.put_nowait((kind, told))
