"""What Jupyter looks up anew for each page while it opens, and finds as it was: here it is looked up once."""

import importlib.metadata
import os
import sys
import time
from importlib.metadata import EntryPoints
from types import ModuleType
from typing import Any

from jupyterlab_server import settings_utils, translation_utils

_SETTLED_SECONDS = 2
"""A package that is just being installed is there before all of its files are."""
_found: tuple[tuple[int, ...], Any] = (), None


class _OfUsersSettings:
    """Checks what a user has set, and not the schemas that it is checked by: these were installed as they are.

    The page checks those by itself, where it has to.
    """

    def __init__(self, checking: Any) -> None:
        self._checking = checking

    def __call__(self, schema: Any) -> Any:
        return self._checking(schema)

    def check_schema(self, schema: Any) -> None:
        """Take it as it is."""


def remember() -> None:
    """Have JupyterLab's part of the server remember what is installed, and take schemas as they are."""
    remember_in(translation_utils)
    if checking := getattr(settings_utils, "Validator", None):
        settings_utils.Validator = _OfUsersSettings(checking)  # type: ignore[attr-defined]


def remember_in(module: ModuleType) -> None:
    """Have a module that asks what is installed (`from importlib.metadata import entry_points`) ask here."""
    module.entry_points = entry_points  # type: ignore[attr-defined]


def entry_points(**wanted: Any) -> EntryPoints:
    """Give what Python's own does, which reads the files of all packages each time.

    Read again when something was installed or removed: by the times by which Python knows its folders, too.
    """
    global _found  # whoever else looks meanwhile finds the same
    folders = tuple(map(_changed, sys.path))
    known, found = _found
    if known != folders:
        found = importlib.metadata.entry_points()
        if max(folders) < time.time_ns() - _SETTLED_SECONDS * 10**9:
            _found = folders, found
    chosen: EntryPoints = found.select(**wanted)
    return chosen


def _changed(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0
