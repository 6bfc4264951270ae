"""Importing without Python's collector, which would look through all of it again and again meanwhile."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Import in this block what stays: that is an eighth of a start, and of each later collection as much as it never
    has to look at."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
