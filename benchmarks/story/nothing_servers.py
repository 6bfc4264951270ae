"""The one process that all servers of `NothingSpawner` are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.story.processes import python
from tests.support.real_hub import ROOT, free_ports


@asynccontextmanager
async def nothing_servers() -> AsyncIterator[dict[str, str]]:
    """Run it until the block is left; gives what its hub has to find in its environment."""
    [port] = free_ports(1)
    async with python("-m", "benchmarks.story.nothing", str(port), cwd=ROOT):
        yield {"BENCH_NOTHING_PORT": str(port)}
