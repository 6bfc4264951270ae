"""What idle control streams cost: memory for each, and the share of one CPU for all of them together.

Starts one service on SQLite as a process of its own, opens the streams of as many servers, and lets them idle.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import psutil

from inset.cli import main as inset
from inset.db import open_database
from inset.models import Host, Server, ServerState
from inset.schema import upgrade
from inset.signing import Signer
from tests.support.real_hub import free_ports

_OPENED_AT_ONCE = 50


async def measure(streams: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database, key, [port] = f"sqlite+aiosqlite:///{folder}/inset.db", Path(folder, "signing.pem"), free_ports(1)
        inset(["keygen", str(key)])
        await asyncio.to_thread(upgrade, database)
        credentials = await _credentials(database, Signer(key.read_bytes()), streams)
        environment = {
            **os.environ,
            "INSET_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "INSET_DATABASE_URL": database,
            "INSET_SIGNING_KEY_FILE": str(key),
            "INSET_LISTEN_PORT": str(port),
            "INSET_HUB__TOKEN": "no-hub-is-asked",
            "INSET_CHECK_INTERVAL": "3600",
        }
        process = await asyncio.to_thread(subprocess.Popen, [sys.executable, "-m", "inset", "serve"], env=environment)
        try:
            await _measure_process(psutil.Process(process.pid), f"http://127.0.0.1:{port}", credentials, seconds)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait)


async def _measure_process(process: psutil.Process, url: str, credentials: list[str], seconds: float) -> None:
    unlimited = httpx.Limits(max_connections=None)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, limits=unlimited, timeout=60))
        await _until_it_answers(client)
        without, idle = process.memory_info().rss, await _cpu_share(process, seconds)
        for begin in range(0, len(credentials), _OPENED_AT_ONCE):
            some = credentials[begin : begin + _OPENED_AT_ONCE]
            await asyncio.gather(*(_open(stack, client, credential) for credential in some))
        share, held = await _cpu_share(process, seconds), process.memory_info().rss
        print(f"{len(credentials)} streams: {(held - without) / len(credentials) / 1024:.0f} KiB each")
        print(f"CPU over {seconds:.0f} s: {share:.1%} of a core, {idle:.1%} without any")


async def _credentials(url: str, signer: Signer, servers: int) -> list[str]:
    """Register so many running servers; gives what their bridges would show."""
    ids = [f"server-{number:05}" for number in range(servers)]
    async with open_database(url) as database:
        async with database.transaction() as db:
            db.add(Host(id="bench", origins=[], keys=[]))
        async with database.transaction() as db:
            db.add_all(
                Server(id=id, host_id="bench", owner=id, seat=id, state=ServerState.RUNNING, url="http://x/user/x/")
                for id in ids
            )
    return [signer.credential(server_id=id, lifetime=timedelta(hours=1)) for id in ids]


async def _open(stack: AsyncExitStack, client: httpx.AsyncClient, credential: str) -> None:
    headers = {"Authorization": f"Bearer {credential}"}
    answer = await stack.enter_async_context(client.stream("GET", "/bridge/v1/control", headers=headers))
    answer.raise_for_status()
    await anext(answer.aiter_lines())


async def _until_it_answers(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await client.get("/openapi.json")
                return
            except httpx.ConnectError:
                await asyncio.sleep(0.2)


async def _cpu_share(process: psutil.Process, seconds: float) -> float:
    before = process.cpu_times()
    await asyncio.sleep(seconds)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    # A socket for each stream, here and in the service.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(measure(given.streams, given.seconds))
