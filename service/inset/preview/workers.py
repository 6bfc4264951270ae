"""The renderer's processes: few, started when first needed, and killed when one takes too long."""

import asyncio
import contextlib
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from inset.errors import NotPreviewable, PreviewsBusy

log = logging.getLogger(__name__)

_START_SECONDS = 60.0
"""Importing what renders takes one or two; on a machine that has no time, more."""


class Workers:
    """Renders at most so many notebooks at once, each within so many seconds."""

    def __init__(self, *, most: int, render_seconds: float, wait_seconds: float) -> None:
        self._free = asyncio.Semaphore(most)
        self._idle: list[Process] = []
        self._render_seconds = render_seconds
        self._wait_seconds = wait_seconds

    async def render(self, read: Callable[[], Awaitable[bytes]]) -> bytes:
        """Turn a notebook's bytes into a page's. They are read when it is their turn, so that waiting costs no memory.

        Raises `NotPreviewable`, `PreviewsBusy`.
        """
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._free.acquire()
        except TimeoutError as exc:
            raise PreviewsBusy from exc
        try:
            kind, answer = await self._ask(await read())
        finally:
            self._free.release()
        if kind == b"H":
            return answer
        if kind == b"F":
            log.error("a preview failed: %s", answer.decode())
            raise NotPreviewable("it has something in it that can't be shown")
        raise NotPreviewable(answer.decode())

    async def close(self) -> None:
        """End the processes that wait for work."""
        while self._idle:
            await _end(self._idle.pop())

    async def _ask(self, content: bytes) -> tuple[bytes, bytes]:
        process = await self._process()
        try:
            async with _or_killed(process), asyncio.timeout(self._render_seconds):
                answer = await _talk(process, content)
        except TimeoutError as exc:
            raise NotPreviewable(f"it takes more than {self._render_seconds:g} seconds to show") from exc
        except (OSError, asyncio.IncompleteReadError) as exc:
            log.error("a preview's renderer died")
            raise NotPreviewable("it takes too much to show") from exc
        self._idle.append(process)
        return answer

    async def _process(self) -> Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
        # Of the service's environment only what Python needs to start: no setting, no secret.
        environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "inset.preview",
            stdin=PIPE, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL,
            env=environment, cwd="/", start_new_session=True,
        )  # fmt: skip
        try:
            async with _or_killed(process), asyncio.timeout(_START_SECONDS):
                await _out(process).readexactly(1)
        except (TimeoutError, asyncio.IncompleteReadError) as exc:
            log.error("a renderer for previews did not start")
            raise PreviewsBusy from exc
        return process


async def _talk(process: Process, content: bytes) -> tuple[bytes, bytes]:
    assert process.stdin is not None
    process.stdin.write(len(content).to_bytes(8) + content)
    await process.stdin.drain()
    header = await _out(process).readexactly(9)
    return header[:1], await _out(process).readexactly(int.from_bytes(header[1:]))


def _out(process: Process) -> asyncio.StreamReader:
    assert process.stdout is not None
    return process.stdout


@asynccontextmanager
async def _or_killed(process: Process) -> AsyncIterator[None]:
    """End a process that is given up in the middle of an answer: it would be of no use for the next one."""
    try:
        yield
    except BaseException:
        await _end(process)
        raise


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.communicate()
