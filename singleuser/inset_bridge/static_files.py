"""The files that Jupyter's pages are made of: compressed beforehand, and kept by browsers for good.

Their names hold a hash of what is in them. `python -m inset_bridge.static_files` compresses them, where
they are installed.
"""

import gzip
import mimetypes
from collections.abc import Iterable
from pathlib import Path

from jupyter_core.paths import jupyter_path
from jupyter_server.base.handlers import FileFindHandler
from tornado.web import StaticFileHandler

_SUFFIX = ".gz"
_COMPRESSIBLE = {".js", ".css", ".svg", ".json"}
_WORTH_BYTES = 1000


class CompressedFiles(StaticFileHandler):
    """tornado's handler, which sends the compressed file where there is one and the browser takes it."""

    _compressed = False

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        path: str | None = super().validate_absolute_path(root, absolute_path)
        if path and "gzip" in self.request.headers.get("Accept-Encoding", "") and Path(path + _SUFFIX).is_file():
            self._compressed = True
            # Looked at like the other: what tornado knows of a file, its size above all, is from there.
            return super().validate_absolute_path(root, path + _SUFFIX)
        return path

    def get_content_type(self) -> str:
        if self._compressed and self.absolute_path:
            return mimetypes.guess_type(self.absolute_path.removesuffix(_SUFFIX))[0] or "application/octet-stream"
        return super().get_content_type()

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Vary", "Accept-Encoding")
        if self._compressed:
            self.set_header("Content-Encoding", "gzip")


class StaticHandler(CompressedFiles, FileFindHandler):
    """Jupyter's own, which does so too."""


def kept_for_good(base_url: str, labextensions: Iterable[str]) -> list[str]:
    """Give the addresses below which every name holds a hash, beside those that Jupyter has found.

    Jupyter means to have the extensions' too, but leaves the server's prefix out.
    """
    folders = [static.parent for path in labextensions for static in Path(path).glob("**/static/remoteEntry.*.js")]
    roots = [Path(path) for path in labextensions]
    return [
        f"{base_url}lab/extensions/{folder.relative_to(root).as_posix()}/"
        for folder in folders
        for root in roots
        if folder.is_relative_to(root)
    ]


def compress(folders: Iterable[Path]) -> int:
    """Compress what is worth it in these folders, again where the file is newer. Gives the number of files."""
    done = 0
    for file in (file for folder in folders for file in folder.rglob("*") if file.suffix in _COMPRESSIBLE):
        beside = file.with_name(file.name + _SUFFIX)
        if file.stat().st_size < _WORTH_BYTES:
            continue
        if not beside.exists() or beside.stat().st_mtime < file.stat().st_mtime:
            beside.write_bytes(gzip.compress(file.read_bytes(), mtime=0))
            done += 1
    return done


def _folders() -> list[Path]:
    import notebook

    lab = [Path(path) / "static" for path in jupyter_path("lab")]
    return [Path(notebook.__file__).parent / "static", *lab]


if __name__ == "__main__":
    print(compress(_folders()), "files compressed")
