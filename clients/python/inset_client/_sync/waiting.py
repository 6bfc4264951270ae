"""What waiting is: the one module that is written by hand on both sides."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

__all__ = ["chunks", "closing", "sleep"]

_CHUNK = 256 * 1024


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def chunks(file: Path) -> Iterator[bytes]:
    """Read a file piece by piece."""
    with file.open("rb") as opened:
        while piece := opened.read(_CHUNK):
            yield piece
