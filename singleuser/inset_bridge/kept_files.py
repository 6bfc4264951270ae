"""The files of a server whose data is restricted: without Jupyter's handler that gives one as it is, by its address."""

from typing import Any

from inset_bridge.read_only import ReadOnlyFiles
from inset_bridge.write_through import WrittenThrough


class KeptFiles(WrittenThrough):
    """Read and written by the contents API alone."""

    def get_extra_handlers(self) -> list[Any]:
        return []


class ReadOnlyKeptFiles(ReadOnlyFiles):
    """Read by it alone."""

    def get_extra_handlers(self) -> list[Any]:
        return []
