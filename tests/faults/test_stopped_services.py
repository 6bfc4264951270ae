"""SIGTERM: what is under way ends as it should, streams are told, and nobody waits for nothing."""

import asyncio
import json
import time

import httpx
import pytest

from tests.service.conftest import document


@pytest.fixture
async def opened(http, host):
    """Open a session, and give its id and its notebook's."""

    async def open(replica, user="ada"):
        notebook = (
            await http.post(f"{replica.url}/v1/notebooks", json={"name": "N"}, headers=host.bearer(user))
        ).json()
        wanted = {"notebook_id": notebook["id"]}
        session = (await http.post(f"{replica.url}/v1/sessions", json=wanted, headers=host.bearer(user))).json()
        return session["id"], notebook["id"]

    return open


async def _followed(http, host, url, session_id, heard):
    """Follow a session's stream to its end; gives when that was. An end that cuts the answer off raises."""
    address = f"{url}/v1/sessions/{session_id}/events"
    async with http.stream("GET", address, headers=host.bearer()) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event:"):
                heard.append(line.removeprefix("event:").strip())
    return time.monotonic()


async def _until(heard, kind):
    async with asyncio.timeout(60):
        while kind not in heard:
            await asyncio.sleep(0.02)


async def test_a_request_under_way_is_answered_and_a_stream_is_ended_in_order(new_replica, http, host, opened):
    replica = new_replica()
    await replica.start()
    session_id, notebook_id = await opened(replica)
    heard = []
    following = asyncio.create_task(_followed(http, host, replica.url, session_id, heard))
    await _until(heard, "ready")
    body = json.dumps(document("under way")).encode()
    stopping = asyncio.Event()

    async def slowly():
        yield body[:20]
        await stopping.wait()
        await following  # it is ended while this request goes on
        yield body[20:]

    path = f"{replica.url}/v1/notebooks/{notebook_id}/content"
    headers = {**host.bearer(), "If-Match": '"1"', "Content-Type": "application/json", "Content-Length": str(len(body))}
    saving = asyncio.create_task(http.put(path, content=slowly(), headers=headers))
    async with httpx.AsyncClient() as probe:
        await probe.get(f"{replica.url}/healthz")
    stopped = asyncio.create_task(replica.stop())
    stopping.set()

    async with asyncio.timeout(60):
        answer = await saving
        await stopped

    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert heard[-1] == "ready"
    other = new_replica()
    await other.start()
    there = await http.get(f"{other.url}/v1/notebooks/{notebook_id}/content", headers=host.bearer())
    assert there.headers["ETag"] == '"2"'


async def test_before_it_leaves_a_replica_says_so_and_works_on(new_replica, http, host, opened):
    replica = new_replica(INSET_SHUTDOWN_DELAY="60")
    await replica.start()
    session_id, _ = await opened(replica)
    heard = []
    following = asyncio.create_task(_followed(http, host, replica.url, session_id, heard))
    await _until(heard, "ready")

    stopped = asyncio.create_task(replica.stop())
    async with asyncio.timeout(60):
        while (told := await http.get(f"{replica.url}/readyz")).status_code == 200:
            await asyncio.sleep(0.02)
    made = await http.post(f"{replica.url}/v1/notebooks", json={"name": "Late"}, headers=host.bearer())

    assert "shutdown (leaving)" in told.json()["detail"]
    assert made.status_code == 201
    assert not following.done()
    # The next test tells how it leaves when that time is over.
    await replica.kill()
    with pytest.raises(httpx.TransportError):
        await following
    await stopped


async def test_streams_do_not_hold_up_a_stop(new_replica, http, host, opened):
    replica = new_replica(INSET_SHUTDOWN_DELAY="1", INSET_SHUTDOWN_TIMEOUT="300")
    await replica.start()
    session_id, _ = await opened(replica)
    heard = []
    following = asyncio.create_task(_followed(http, host, replica.url, session_id, heard))
    await _until(heard, "ready")

    # Had it waited for the stream, it would be for as long as the shutdown may take.
    async with asyncio.timeout(120):
        await replica.stop()
        await following
