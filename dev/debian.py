"""Debian's packages, installed by whoever may: one after the other, since apt lets nobody else at its lists."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

_LOCK = Path("/run/inset-apt.lock")
_POLICY = Path("/usr/sbin/policy-rc.d")
"""What Debian asks before a package starts its service."""

Call = Callable[[list[str]], None]


def can_install() -> bool:
    """Tell whether this is Debian, or of its family, and this process may change it."""
    return bool(shutil.which("apt-get")) and os.geteuid() == 0


def install(packages: Sequence[str], call: Call, *, services: bool) -> None:
    """Install packages, by commands that are given to `call`, and have them start their services or not."""
    # Nobody is there to answer its questions.
    os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
    with _alone(), nullcontext() if services else _no_service_starts():
        call(["apt-get", "update"])
        wait = ["-o", "DPkg::Lock::Timeout=120"]
        call(["apt-get", "install", *wait, "-y", "--no-install-recommends", *packages])


def update(call: Call) -> None:
    """Fetch the lists of packages."""
    with _alone():
        call(["apt-get", "update"])


@contextmanager
def _alone() -> Iterator[None]:
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_service_starts() -> Iterator[None]:
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
