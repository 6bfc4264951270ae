"""A replica of the service as an operator runs it, which a test may kill at any moment."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx


class Replica:
    """`inset serve` in a process of its own, at an address that it keeps."""

    def __init__(self, environment: Mapping[str, str], port: int, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {**os.environ, **environment, "INSET_LISTEN_PORT": str(port)}
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The id of its process, while there is one."""
        assert self._process
        return self._process.pid

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "inset", "serve", env=self._environment, stdout=log, stderr=log
            )
        async with httpx.AsyncClient(verify=False) as http, asyncio.timeout(120):
            while True:
                try:
                    await http.get(f"{self.url}/healthz")
                    return
                except httpx.TransportError:
                    if self._process.returncode is not None:
                        raise AssertionError(self._log.read_text()[-2000:]) from None
                    await asyncio.sleep(0.05)

    async def pack(self, *, killed_after: float | None) -> None:
        """Run `inset db pack` beside it, as an operator does; end that without a word after so many seconds."""
        with self._log.open("ab") as log:
            packing = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "inset", "db", "pack", env=self._environment, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(killed_after):
                assert await packing.wait() == 0, self._log.read_text()[-2000:]
        except TimeoutError:
            pass
        finally:
            if packing.returncode is None:
                packing.kill()
                await packing.wait()

    async def kill(self) -> None:
        """End it without a word, as a machine does that loses its power."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it as a deployment does."""
        await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()
