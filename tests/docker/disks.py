"""A small disk for the database, so that a test can fill it without filling the machine's."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEGABYTES = 700
"""More than the database's log takes; none of it is written before it is used."""
_ACCOUNT = 1002
"""The database's."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Give an empty folder of the database's account, on a file system of its own if this process may mount one."""
    disk, image = folder / "disk", folder / "disk.img"
    disk.mkdir()
    mounts = os.geteuid() == 0
    if mounts:
        with image.open("wb") as file:
            file.truncate(_MEGABYTES << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True)
    try:
        data = disk / "data"
        data.mkdir()
        if mounts:
            os.chown(data, _ACCOUNT, _ACCOUNT)
        yield data
    finally:
        if mounts:
            subprocess.run(["umount", str(disk)], check=True)
            image.unlink()
