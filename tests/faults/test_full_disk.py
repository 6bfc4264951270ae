"""The disk under the database is full for a while: calls say so, and nothing is lost."""

import asyncio
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from inset.db import open_database
from inset.hosts import apply_hosts
from inset.schema import upgrade
from tests.faults.ledger import Ledger, Writer, audit, exact
from tests.service.conftest import document, problem
from tests.support.hosts import write_hosts_file


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "inset-test", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
async def settings(settings, small_disk, tmp_path, host):
    url = f"sqlite+aiosqlite:///{small_disk}/inset.db"
    await asyncio.to_thread(upgrade, url)
    async with open_database(url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "hosts.toml", host))
    return settings.model_copy(update={"database_url": url})


async def test_a_full_disk_refuses_saves_and_loses_none(new_replica, http, host, small_disk):
    replica = new_replica()
    await replica.start()
    ledger = Ledger()
    writer = Writer(ledger, [replica.url], host.bearer, 1)
    await writer.create(http)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(_free(small_disk) - 64 * 1024))
    path = f"{replica.url}/v1/notebooks/{writer.notebook_id}/content"
    content = exact(document(random.Random(1).randbytes(200_000).hex()))  # more than it can be compressed to

    refused = await http.put(path, content=content, headers={**host.bearer(), "If-Match": '"1"'})

    assert (refused.status_code, problem(refused)) == (503, "database-unavailable")
    assert "disk" not in refused.text
    assert (await http.get(path, headers=host.bearer())).headers["ETag"] == '"1"'
    filler.unlink()
    await writer.save(http, 3)
    assert await audit(http, replica.url, ledger, host.bearer()) == 4


def _free(folder: Path) -> int:
    stats = os.statvfs(folder)
    return stats.f_bavail * stats.f_frsize
