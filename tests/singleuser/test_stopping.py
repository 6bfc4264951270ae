"""A server's end loses nothing: what is saved is sent first, and a crash is made up for."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio

from tests.fakes.fake_service import FakeService
from tests.singleuser.conftest import Seat, notebook, started
from tests.support.real_hub import RealHub

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEAT = "seat-002"


@pytest_asyncio.fixture(loop_scope="session")
async def ending(hub: RealHub, service: FakeService) -> AsyncIterator[Seat]:
    """A server that the test ends."""
    async with started(hub, service, SEAT) as seat:
        yield seat


async def test_stopping_sends_what_was_just_saved_and_leaves_nothing(ending: Seat):
    notebook_id, path = await ending.load("1")
    await ending.save(path, "last")

    await ending.hub.stop_server(SEAT)

    assert ending.service.notebooks[notebook_id].newest.content == notebook("last")
    assert not (ending.hub.data / "seats" / SEAT).exists()


async def test_stopping_sends_what_was_written_without_a_save(ending: Seat):
    notebook_id, path = await ending.load("1")
    [file] = ending.hub.data.glob(f"seats/{SEAT}/*/{path}")
    file.write_bytes(notebook("by the kernel"))

    await ending.hub.stop_server(SEAT)

    newest = ending.service.notebooks[notebook_id].newest
    assert (newest.content, newest.origin) == (notebook("by the kernel"), "stop")


async def test_stopping_waits_for_a_service_that_comes_back(ending: Seat):
    notebook_id, path = await ending.load("1")
    ending.service.down = True
    await ending.save(path, "last")

    stopping = asyncio.create_task(ending.hub.stop_server(SEAT))
    await asyncio.sleep(2)
    assert not stopping.done()
    ending.service.down = False
    await stopping

    assert ending.service.notebooks[notebook_id].newest.content == notebook("last")


async def test_stopping_ends_even_if_the_service_stays_away(ending: Seat):
    _, path = await ending.load("1")
    ending.service.down = True
    try:
        await ending.save(path, "last")
        begun = time.monotonic()
        await ending.hub.stop_server(SEAT)
        assert 15 < time.monotonic() - begun < 30
    finally:
        ending.service.down = False
    assert f"Not sent to the service before the end: {path}" in ending.hub.log()


async def test_a_server_that_crashed_and_comes_back_sends_what_it_owed(ending: Seat):
    hub, service = ending.hub, ending.service
    notebook_id, path = await ending.load("1")
    service.down = True
    await ending.save(path, "before the crash")
    await asyncio.sleep(0.5)
    await _crash(hub)
    service.down = False

    await hub.start_server(SEAT, server_id=ending.server_id)

    await service.until(lambda: service.notebooks[notebook_id].newest.content == notebook("before the crash"))


async def test_a_server_that_crashed_while_it_was_stopped_still_sends_what_it_owed(ending: Seat):
    hub, service = ending.hub, ending.service
    notebook_id, path = await ending.load("1")
    service.down = True
    await ending.save(path, "before the crash")
    before = len(hub.log())
    stopping = asyncio.create_task(hub.stop_server(SEAT))
    async with asyncio.timeout(40):
        while "received signal 15" not in hub.log()[before:]:
            await asyncio.sleep(0.05)
    _server_process(hub).kill()
    await stopping
    service.down = False

    await hub.start_server(SEAT, server_id=ending.server_id)

    await service.until(lambda: service.notebooks[notebook_id].newest.content == notebook("before the crash"))


@pytest.mark.parametrize("left", [b"", notebook("the new one")], ids=["cut off", "just written"])
async def test_a_save_that_a_crash_has_cut_off_is_undone(ending: Seat, left: bytes):
    hub, service = ending.hub, ending.service
    notebook_id, path = await ending.load("1")
    [file] = hub.data.glob(f"seats/{SEAT}/*/{path}")
    await _crash(hub)
    file.with_name(f".~{file.name}").write_bytes(notebook("the one before"))
    file.write_bytes(left)

    await hub.start_server(SEAT, server_id=ending.server_id)
    await hub.stop_server(SEAT)

    assert service.notebooks[notebook_id].newest.content == (left or notebook("the one before"))


async def test_another_user_s_server_finds_nothing_of_one_that_crashed(ending: Seat):
    hub = ending.hub
    _, path = await ending.load("secret")
    await _crash(hub)

    await hub.start_server(SEAT)

    assert not list((hub.data / "seats" / SEAT).rglob("*.ipynb"))
    async with hub.seat(SEAT, token=await hub.mint_token(SEAT)) as other:
        assert (await other.get(f"api/contents/{path}")).status_code == 404


async def _crash(hub: RealHub) -> None:
    """End the seat's server as a crash does, and have the hub know of it."""
    process = _server_process(hub)
    process.kill()
    async with asyncio.timeout(40):
        # The hub, which has started it, is the one to take notice.
        with contextlib.suppress(psutil.NoSuchProcess):
            while process.status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.02)
    await _until_the_hub_sees_it(hub)


def _server_process(hub: RealHub) -> psutil.Process:
    """The one that this test's own hub started for the seat."""
    for process in psutil.process_iter(["environ", "cmdline"]):
        environ = process.info["environ"] or {}
        same_hub = environ.get("JUPYTERHUB_API_URL") == hub.api_url
        if same_hub and environ.get("JUPYTERHUB_USER") == SEAT and "inset_bridge" in process.info["cmdline"]:
            return process
    raise AssertionError("no such server")


async def _until_the_hub_sees_it(hub: RealHub) -> None:
    """The hub looks every 30 s by itself, and at once when it is asked to stop what is gone."""
    async with hub.api() as api:
        await api.delete(f"/users/{SEAT}/server")
        async with asyncio.timeout(40):
            while not (await api.get(f"/users/{SEAT}/servers/")).json()["stopped"]:
                await asyncio.sleep(0.2)
