"""The files of a server whose data is restricted: without Jupyter's handler that gives one as it is, by its address."""

from typing import Any

from inset_bridge.full_disk import RoomForFiles
from inset_bridge.read_only import ReadOnlyFiles


class KeptFiles(RoomForFiles):
    """Read and written by the contents API alone."""

    def get_extra_handlers(self) -> list[Any]:
        return []


class ReadOnlyKeptFiles(ReadOnlyFiles):
    """Read by it alone."""

    def get_extra_handlers(self) -> list[Any]:
        return []
