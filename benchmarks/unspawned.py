"""Two replicas of the service on PostgreSQL, before a real JupyterHub that starts nothing.

All that is between a session and its readiness is there: the hub with its proxy, its users, tokens and spawns. What
its spawner says it has started is one process that says yes to everything.
"""

import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.replicated import before_hub, two_replicas
from benchmarks.story.nothing_servers import nothing_servers
from tests.faults.replica import Replica
from tests.support.hosts import TestHost
from tests.support.real_hub import ROOT, RealHub, free_ports, real_hub

CONFIG = ROOT / "benchmarks" / "story" / "nothing_config.py"


@dataclass(frozen=True)
class Unspawned:
    """The parts, and a host application that is registered."""

    hub: RealHub
    host: TestHost
    replicas: Sequence[Replica]

    @property
    def urls(self) -> list[str]:
        """The replicas' addresses."""
        return [replica.url for replica in self.replicas]

    def cpu_of_replicas(self) -> float:
        """Give the seconds that both have computed for."""
        return sum(_cpu(replica.pid) for replica in self.replicas)

    def cpu_of_hub(self) -> float:
        """Give the seconds that the hub itself has computed for, without its proxy."""
        return _cpu(self._hub_pid)

    def memory_of_replicas(self) -> int:
        """Give the bytes that both have in memory."""
        return sum(psutil.Process(replica.pid).memory_info().rss for replica in self.replicas)

    def memory_of_hub(self) -> int:
        """Give the bytes that the hub itself has in memory."""
        return int(psutil.Process(self._hub_pid).memory_info().rss)

    @property
    def _hub_pid(self) -> int:
        assert self.hub.process
        return self.hub.process.pid


@asynccontextmanager
async def unspawned(folder: Path, database_url: str, *, seats: int) -> AsyncIterator[Unspawned]:
    """Run all of it on a migrated database until the block is left."""
    # A socket for each stream, here and in the replicas.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ports = free_ports(2)
    async with AsyncExitStack() as stack:
        env = {
            **await stack.enter_async_context(nothing_servers()),
            "INSET_SERVICE_URL": f"http://127.0.0.1:{ports[0]}",
            "INSET_SEATS": str(seats),
            "PYTHONPATH": str(ROOT),
        }
        hub = await stack.enter_async_context(real_hub(folder, env, config=CONFIG))
        host = TestHost()
        of_the_hub = before_hub(hub.token, hub.api_url, hub.bind_url, seats)
        replicas = await stack.enter_async_context(two_replicas(folder, database_url, host, of_the_hub, ports=ports))
        yield Unspawned(hub, host, replicas)


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
