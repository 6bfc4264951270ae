"""Waiting for a server inside a spawner's start."""

import asyncio
import time

import pytest

from inset_hub.readiness import until_answering
from tests.support.real_hub import free_ports


async def _running() -> int | None:
    return None


async def _ended() -> int | None:
    return 1


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: str) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_a_server_is_found_as_soon_as_it_answers():
    [port] = free_ports(1)
    waiting = asyncio.create_task(until_answering(f"http://127.0.0.1:{port}/", exit_status=_running))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    async with await asyncio.start_server(lambda r, w: _answer(r, w, "302 Found"), "127.0.0.1", port):
        begun = time.monotonic()
        await waiting
        assert time.monotonic() - begun < 0.3


async def test_a_server_that_answers_with_an_error_is_not_ready():
    [port] = free_ports(1)
    async with await asyncio.start_server(lambda r, w: _answer(r, w, "503 Not yet"), "127.0.0.1", port):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await until_answering(f"http://127.0.0.1:{port}/", exit_status=_running)


async def test_a_server_that_ended_is_not_waited_for():
    [port] = free_ports(1)
    with pytest.raises(RuntimeError, match="ended with status 1"):
        await until_answering(f"http://127.0.0.1:{port}/", exit_status=_ended)
