"""What idle event streams cost: memory, and the share of one processor for all of them together.

Those of sessions, as hosts' pages hold them, and those of save bridges, each on a service that was started for them.
"""

import argparse
import asyncio
import resource
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil

from benchmarks.serving import Inset, Server
from inset.db import open_database
from inset.models import Notebook, ServerState, Session, SessionState
from inset.models import Server as NotebookServer
from inset.signing import Signer

STREAMS, SECONDS = 1000, 20.0
_OPENED_AT_ONCE = 50


@dataclass(frozen=True)
class Idle:
    """What so many streams cost while nothing happens."""

    label: str
    streams: int
    megabytes: float
    share: float
    """Of one processor."""
    without: float
    """The share before they were opened."""


async def open_sessions(inset: Inset, count: int) -> list[str]:
    """Have so many sessions open, each in a server of its own; gives their ids, which are their servers' too."""
    names = [f"{number:032x}" for number in range(count)]
    async with open_database(inset.url) as database:
        for model in ("notebook", "server", "session"):
            async with database.transaction() as db:
                db.add_all(_row(model, name) for name in names)
    return names


def idle(folder: Path, *, streams: int = STREAMS, seconds: float = SECONDS) -> Iterator[Idle]:
    """Open them and let them idle, on a database of its own in the folder."""
    # A socket for each stream, here and in the service.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    inset = Inset(folder)
    names = asyncio.run(open_sessions(inset, streams))
    signer = Signer(inset.signing_key.read_bytes())
    lifetime = timedelta(hours=1)
    kinds = {
        "of sessions": {f"/v1/sessions/{name}/events#{name}": inset.headers["Authorization"] for name in names},
        "of save bridges": {
            f"/bridge/v1/control#{name}": f"Bearer {signer.credential(server_id=name, lifetime=lifetime)}"
            for name in names
        },
    }
    for label, asked in kinds.items():
        with inset.serving() as server:
            yield asyncio.run(_measured(label, server, asked, seconds))


def _row(model: str, name: str) -> Notebook | NotebookServer | Session:
    if model == "notebook":
        return Notebook(id=name, host_id="demo", owner="ada", name=name)
    if model == "server":
        running = ServerState.RUNNING
        return NotebookServer(id=name, host_id="demo", owner=name, seat=name, state=running, url="http://x/user/x/")
    return Session(
        id=name,
        host_id="demo",
        owner="ada",
        notebook_id=name,
        server_id=name,
        state=SessionState.READY,
        embeddable=True,
    )


async def _measured(label: str, server: Server, asked: Mapping[str, str], seconds: float) -> Idle:
    process = psutil.Process(server.pid)
    async with AsyncExitStack() as stack:
        memory, without = process.memory_info().rss, await _share(process, seconds)
        paths = list(asked)
        for begin in range(0, len(paths), _OPENED_AT_ONCE):
            some = paths[begin : begin + _OPENED_AT_ONCE]
            await asyncio.gather(*(_open(stack, server.port, path, asked[path]) for path in some))
        share = await _share(process, seconds)
        return Idle(label, len(paths), (process.memory_info().rss - memory) / 1e6, share, without)


async def _open(stack: AsyncExitStack, port: int, path: str, authorization: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.enter_context(closing(writer))
    head = f"GET {path.partition('#')[0]} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(120):
        assert b" 200 " in await reader.readline()
        await reader.readuntil(b"\r\n\r\n")


async def _share(process: psutil.Process, seconds: float) -> float:
    before = process.cpu_times()
    await asyncio.sleep(seconds)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / seconds


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for each in idle(Path(folder) / "inset", streams=given.streams, seconds=given.seconds):
            print(f"{each.streams} {each.label}: {each.megabytes:.1f} MB, {each.share:.1%} of a processor", end="")
            print(f" ({each.without:.1%} without any)", flush=True)


if __name__ == "__main__":
    main()
