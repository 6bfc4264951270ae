"""Python's processes that a measurement needs beside it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def python(*arguments: str, **options: Any) -> AsyncIterator[None]:
    """Run Python with these arguments, and asyncio's options for a process, until the block is left."""
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, **options)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()
