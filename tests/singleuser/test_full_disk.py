"""A server's disk is full: what a page wants to save is stored all the same, and stays the newest."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.singleuser.conftest import SEAT, Seat, notebook

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def full(seat: Seat) -> AsyncIterator[tuple[str, str]]:
    """A notebook whose folder is a disk without room; its id and path."""
    notebook_id, path = await seat.load("1")
    [folder] = {file.parent for file in seat.hub.data.glob(f"seats/{SEAT}/*/{path}")}
    await _run("mount", "-t", "tmpfs", "-o", "size=64k", "inset-test", str(folder))
    (folder / Path(path).name).write_bytes(notebook("1"))
    try:
        with pytest.raises(OSError, match="No space"):
            (folder / "filler").write_bytes(bytes(100_000))
        yield notebook_id, path
    finally:
        await _run("umount", "--lazy", str(folder))


async def test_what_has_no_room_stays_the_newest_whoever_asks_for_it(seat: Seat, full: tuple[str, str]):
    notebook_id, path = full
    stored = seat.service.notebooks[notebook_id]
    large = "2" * 100_000

    refused = await seat.put(path, large, inset_origin="save")
    assert (refused.status_code, stored.newest.content) == (507, notebook(large))

    # As the page does then, to learn why.
    told = (await seat.flush(path)).json()

    assert (told["version"], told["disk_full"]) == (2, True)
    assert [version.content for version in stored.versions] == [notebook("1"), notebook(large)]


async def _run(*command: str) -> None:
    await asyncio.to_thread(subprocess.run, command, check=True)
