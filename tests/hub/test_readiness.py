"""Waiting for a server inside a spawner's start."""

import asyncio
from functools import partial

import pytest

from inset_hub.readiness import until_answering
from tests.support.real_hub import free_ports


async def _running() -> int | None:
    return None


async def _ended() -> int | None:
    return 1


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, status: str, answered: list[str]
) -> None:
    await reader.readuntil(b"\r\n\r\n")
    answered.append(status)
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_a_server_is_found_as_soon_as_it_answers():
    [port] = free_ports(1)
    waiting = asyncio.create_task(until_answering(f"http://127.0.0.1:{port}/", exit_status=_running))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    answered: list[str] = []
    server = partial(_answer, status="302 Found", answered=answered)
    async with await asyncio.start_server(server, "127.0.0.1", port):
        await waiting
    assert answered == ["302 Found"]


async def test_a_server_that_answers_with_an_error_is_not_ready():
    [port] = free_ports(1)
    server = partial(_answer, status="503 Not yet", answered=[])
    async with await asyncio.start_server(server, "127.0.0.1", port):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await until_answering(f"http://127.0.0.1:{port}/", exit_status=_running)


async def test_a_server_that_ended_is_not_waited_for():
    [port] = free_ports(1)
    with pytest.raises(RuntimeError, match="ended with status 1"):
        await until_answering(f"http://127.0.0.1:{port}/", exit_status=_ended)
