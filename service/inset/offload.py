"""Work on bytes, off the event loop where it takes longer than the way there."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

BRIEF = 64 * 1024
"""Bytes that are hashed, parsed and compressed in about a millisecond."""

Given = ParamSpec("Given")
Made = TypeVar("Made")


async def offload(size: int, work: Callable[Given, Made], *args: Given.args, **kwargs: Given.kwargs) -> Made:
    """Do `work`, which handles about `size` bytes, without holding up the event loop for long."""
    if size <= BRIEF:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
