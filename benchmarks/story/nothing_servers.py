"""The one process that all servers of `NothingSpawner` are."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.real_hub import ROOT, free_ports


@asynccontextmanager
async def nothing_servers() -> AsyncIterator[dict[str, str]]:
    """Run it until the block is left; gives what its hub has to find in its environment."""
    [port] = free_ports(1)
    servers = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.story.nothing", str(port), cwd=ROOT
    )
    try:
        yield {"BENCH_NOTHING_PORT": str(port)}
    finally:
        servers.terminate()
        await servers.wait()
