"""Importing without what only takes time meanwhile (`docs/decisions/0041-the-services-start.md`)."""

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_NOT_NEEDED = ("httpx._main", "pydantic.v1")
"""Modules without which their importers do: the command line of httpx, and what FastAPI compares models with."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Import in this block what stays, without Python's collector, which would look through all of it again and again:
    that is an eighth of a start, and of each later collection as much as it never has to look at."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def without_the_unneeded() -> None:
    """Have modules that nothing here uses taken for not installed, in this process."""
    for name in _NOT_NEEDED:
        sys.modules[name] = None  # type: ignore[assignment]


def import_fastapi() -> None:
    """Import FastAPI. Its fifty models of an API's description are built once somebody asks for one."""
    from pydantic import BaseModel  # here, without the collector as well

    BaseModel.model_config["defer_build"] = True
    try:
        importlib.import_module("fastapi")
    finally:
        del BaseModel.model_config["defer_build"]
