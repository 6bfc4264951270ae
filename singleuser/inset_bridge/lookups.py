"""What Jupyter looks up anew for each page while it opens, and finds as it was: here it is looked up once."""

import importlib.metadata
import os
import sys
from importlib.metadata import EntryPoints
from types import ModuleType
from typing import Any

from jupyterlab_server import settings_utils, translation_utils

_CHECKING: Any = vars(settings_utils)["Validator"]
_found: tuple[tuple[int, ...], Any] = (), None


class _OfUsersSettings:
    """Checks what a user has set, and not the schemas that it is checked by: these were installed as they are.

    The page checks those by itself, where it has to.
    """

    def __new__(cls, schema: Any) -> Any:
        return _CHECKING(schema)

    @staticmethod
    def check_schema(schema: Any) -> None:
        """Take it as it is."""


def remember() -> None:
    """Have JupyterLab's part of the server remember what is installed, and take schemas as they are."""
    remember_in(translation_utils)
    vars(settings_utils)["Validator"] = _OfUsersSettings


def remember_in(module: ModuleType) -> None:
    """Have a module that asks what is installed (`from importlib.metadata import entry_points`) ask here."""
    module.entry_points = entry_points  # type: ignore[attr-defined]


def entry_points(**wanted: Any) -> EntryPoints:
    """Give what Python's own does, which reads the files of all packages each time.

    Read again when something was installed or removed: by the times by which Python knows its folders, too.
    """
    global _found  # whoever else looks meanwhile finds the same
    now = tuple(map(_changed, sys.path))
    if _found[0] != now:
        _found = now, importlib.metadata.entry_points()
    chosen: EntryPoints = _found[1].select(**wanted)
    return chosen


def _changed(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0
