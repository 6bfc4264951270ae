"""The files of a server whose user may not edit."""

from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager


class ReadOnlyFiles(AsyncLargeFileManager):
    """Says of everything that it can't be written: Jupyter's pages then neither save nor offer to."""

    def _base_model(self, path: str) -> dict[str, Any]:
        model: dict[str, Any] = super()._base_model(path)  # type: ignore[no-untyped-call]
        return {**model, "writable": False}
