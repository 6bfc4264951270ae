"""Debian's packages, installed by whoever may: one after the other, since apt lets nobody else at its lists."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

_ALONE = Path(tempfile.gettempdir()) / "inset-apt.lock"


def can_install() -> bool:
    """Tell whether this is Debian, or of its family, and this process may change it."""
    return bool(shutil.which("apt-get")) and os.geteuid() == 0


def install(packages: Sequence[str], call: Callable[[list[str]], None]) -> None:
    """Install packages, by commands that are given to `call`. Waits for others who do the same."""
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    with _ALONE.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        call([*apt, "update"])
        call([*apt, "install", "-o", "DPkg::Lock::Timeout=120", "-y", "--no-install-recommends", *packages])
