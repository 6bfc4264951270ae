"""What waiting is: the one module that is written by hand on both sides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

__all__ = ["aclosing", "chunks", "sleep"]

_CHUNK = 256 * 1024


async def sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


async def chunks(file: Path) -> AsyncIterator[bytes]:
    """Read a file piece by piece."""
    opened = await asyncio.to_thread(file.open, "rb")
    try:
        while piece := await asyncio.to_thread(opened.read, _CHUNK):
            yield piece
    finally:
        opened.close()
