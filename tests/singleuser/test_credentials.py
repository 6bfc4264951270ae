"""Data credentials on a real server: its kernels read them while the session lives, and nobody finds them elsewhere."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fakes.fake_service import FakeService
from tests.singleuser.conftest import Seat, notebook, started
from tests.support.kernels import run_in_kernel, start_kernel
from tests.support.real_hub import RealHub

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEAT = "seat-001"
OTHER_SEAT = "seat-002"
READ = """
import json, os
file = os.environ["INSET_CREDENTIALS"]
print(open(file).read() if os.path.exists(file) else "nothing")
"""


@dataclass
class Opened:
    """A notebook with a running kernel."""

    seat: Seat
    notebook_id: str
    kernel: str

    async def run(self, code: str) -> str:
        return (await run_in_kernel(self.seat.hub, SEAT, self.seat.token, self.kernel, code)).strip()

    async def read(self) -> dict[str, dict[str, str]]:
        """What a kernel finds."""
        told = await self.run(READ)
        return {} if told == "nothing" else json.loads(told)

    async def until(self, **values: str) -> None:
        """Wait until a kernel finds these."""
        async with asyncio.timeout(20):
            while {name: one["value"] for name, one in (await self.read()).items()} != values:
                await asyncio.sleep(0.05)


async def _opened(seat: Seat, **values: str) -> Opened:
    content = notebook("1")
    notebook_id = seat.service.add_notebook(content)
    if values:
        seat.service.pass_credentials(notebook_id, seat.server_id, **values)
    path = f"work/{notebook_id}/analysis.ipynb"
    assert (await seat.put_document(notebook_id, path, version=1, content=content)).status_code == 200
    return Opened(seat, notebook_id, await start_kernel(seat.http, path))


@pytest_asyncio.fixture(loop_scope="session")
async def opened(seat: Seat) -> AsyncIterator[Opened]:
    await seat.service.until(lambda: seat.server_id in seat.service.streams.values(), within=20)
    opened = await _opened(seat, warehouse="first-secret")
    yield opened
    await seat.http.delete(f"inset/api/documents/{opened.notebook_id}")


async def test_a_kernel_finds_them_from_its_first_moment_on(opened: Opened):
    assert await opened.read() == {"warehouse": {"value": "first-secret", "expires_at": None}}


async def test_a_kernel_finds_what_the_host_has_refreshed(opened: Opened):
    opened.seat.service.pass_credentials(
        opened.notebook_id, opened.seat.server_id, warehouse="second-secret", lake="third"
    )

    await opened.until(warehouse="second-secret", lake="third")


async def test_what_was_refreshed_while_nobody_listened_is_found_afterwards(opened: Opened):
    service = opened.seat.service
    service.down = True
    try:
        service.break_streams()
        await service.until(lambda: opened.seat.server_id not in service.streams.values())
        service.pass_credentials(opened.notebook_id, opened.seat.server_id, warehouse="second-secret")
        assert (await opened.read())["warehouse"]["value"] == "first-secret"
    finally:
        service.down = False

    await opened.until(warehouse="second-secret")


async def test_they_are_in_a_file_that_its_owner_alone_can_read_in_memory(opened: Opened):
    asked = "import os, stat; file = os.environ['INSET_CREDENTIALS']\n"
    asked += "print([oct(stat.S_IMODE(os.stat(p).st_mode)) for p in (file, os.path.dirname(file))], file)"
    modes, _, file = (await opened.run(asked)).rpartition(" ")
    assert modes == "['0o600', '0o700']"
    assert Path(file).parent.parent == Path("/dev/shm") or not Path("/dev/shm").exists()


async def test_neither_the_servers_environment_nor_its_log_nor_its_files_hold_one(opened: Opened):
    asked = "import os; print([v for v in os.environ.values() if 'first-secret' in v])"
    asked += "\nprint('first-secret' in open(f'/proc/{os.getppid()}/environ').read())"
    assert await opened.run(asked) == "[]\nFalse"
    hub = opened.seat.hub
    assert "first-secret" not in hub.log()
    found = {file: b"first-secret" in content for file, content in _files(hub.data)}
    assert found
    assert not [file for file, holds_it in found.items() if holds_it]
    everything = await opened.seat.http.get("api/contents", params={"content": 1})
    assert "INSET" not in everything.text


def _files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """What is in a folder of a running server's, but for files and folders that are gone by the time they are read."""
    for place, _, names in os.walk(folder):
        for file in map(Path(place).joinpath, names):
            with suppress(FileNotFoundError):
                if file.is_file():
                    yield file, file.read_bytes()


async def test_another_notebooks_kernel_is_not_told_of_them(opened: Opened):
    other = await _opened(opened.seat)
    assert await other.read() == {}
    where = "import os; print(os.environ['INSET_CREDENTIALS'])"
    assert await other.run(where) != await opened.run(where)


async def test_a_kernel_that_is_restarted_finds_them_again(opened: Opened):
    answer = await opened.seat.http.post(f"api/kernels/{opened.kernel}/restart")
    assert answer.status_code == 200
    await opened.until(warehouse="first-secret")


async def test_a_session_that_is_over_has_none_left_at_once(opened: Opened):
    opened.seat.service.end_session(opened.notebook_id, within=30)

    # While its pages are still asked for their edits.
    await opened.until()


async def test_a_notebook_that_is_detached_has_none_left(opened: Opened):
    file = Path(await opened.run("import os; print(os.environ['INSET_CREDENTIALS'])"))
    assert file.exists()

    await opened.seat.http.delete(f"inset/api/documents/{opened.notebook_id}")

    assert not file.exists()


async def test_a_server_that_is_stopped_leaves_none_behind(hub: RealHub, service: FakeService):
    async with started(hub, service, OTHER_SEAT) as other:
        content = notebook("1")
        notebook_id = service.add_notebook(content)
        service.pass_credentials(notebook_id, other.server_id, warehouse="last-secret")
        path = f"work/{notebook_id}/analysis.ipynb"
        await other.put_document(notebook_id, path, version=1, content=content)
        kernel = await start_kernel(other.http, path)
        where = "import os; print(os.environ['INSET_CREDENTIALS'])"
        file = Path((await run_in_kernel(hub, OTHER_SEAT, other.token, kernel, where)).strip())
        assert "last-secret" in file.read_text()

    assert not file.parent.exists()


async def test_a_kernel_that_removes_the_folder_keeps_no_notebook_from_opening(opened: Opened):
    folder = "import os, shutil; folder = os.path.dirname(os.environ['INSET_CREDENTIALS'])\n"
    await opened.run(folder + "shutil.rmtree(folder); open(folder, 'w').close()")
    await opened.seat.load("1")

    await opened.run(folder + "os.unlink(folder)")
    await opened.seat.load("1")

    await opened.until(warehouse="first-secret")


async def test_a_notebook_opens_although_the_service_can_not_be_asked_for_them(seat: Seat):
    content = notebook("1")
    notebook_id = seat.service.add_notebook(content)
    path = f"work/{notebook_id}/analysis.ipynb"
    seat.service.down = True
    try:
        answer = await seat.put_document(notebook_id, path, version=1, content=content)
    finally:
        seat.service.down = False
    assert answer.status_code == 200
