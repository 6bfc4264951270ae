"""The notebooks' files, as exact bytes."""

import asyncio
import errno
import json
import os
import time
from pathlib import Path, PurePosixPath

import nbformat
from jupyter_server.services.contents.fileio import path_to_intermediate

from inset_bridge.errors import BadRequest, DiskFull, UnreadableFile

FULL = (errno.ENOSPC, errno.EDQUOT)
"""How the system says that a disk has no more room, or that nobody may take more of it."""


class Files:
    """Reads and writes below the folder that Jupyter's contents API shows."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def read(self, path: str) -> bytes | None:
        """The file's content once no save is under way; None if there is no file. Raises UnreadableFile."""
        try:
            return await asyncio.to_thread(self._read, self._root / path)
        except (FileNotFoundError, IsADirectoryError):
            return None
        except OSError as exc:
            raise UnreadableFile from exc

    def exists(self, path: str) -> bool:
        return (self._root / path).is_file()

    def write(self, path: str, content: bytes) -> None:
        """Replace the file in one step, without a break in the event loop in which a save could slip in.

        Raises DiskFull, having left everything as it was.
        """
        file = self._root / path
        new = file.with_name(f".{file.name}.inset")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(content)
        except OSError as exc:
            new.unlink(missing_ok=True)
            if exc.errno in FULL:
                raise DiskFull from exc
            raise
        os.replace(new, file)

    def mend(self, path: str) -> None:
        """Put the last whole content back where a crash or a full disk has cut a save off: when none is under way."""
        file = self._root / path
        under_way = _under_way(file)
        if not under_way.exists():
            return
        try:
            json.loads(file.read_bytes())
            under_way.unlink()
        except (OSError, ValueError):
            os.replace(under_way, file)

    def _read(self, file: Path) -> bytes:
        under_way = _under_way(file)
        give_up = time.monotonic() + 5
        while True:
            quiet = not under_way.exists()
            before = file.stat()
            content = file.read_bytes()
            after = file.stat()
            same = (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
            # What a crash has left there is mended at the next start only.
            if (quiet and same and not under_way.exists()) or time.monotonic() > give_up:
                return content
            time.sleep(0.01)


def _under_way(file: Path) -> Path:
    """Jupyter saves in place, in a thread, and keeps the old content in this file beside it while it does."""
    return Path(path_to_intermediate(str(file)))  # type: ignore[no-untyped-call]


def notebook_path(path: object) -> str:
    """Check a path that came from outside: relative, inside the folder, a visible notebook."""
    if not isinstance(path, str) or not path.endswith(".ipynb") or "\\" in path or "\0" in path:
        raise BadRequest("path is not a notebook's")
    parts = PurePosixPath(path).parts
    if path != "/".join(parts) or any(part.startswith(".") for part in parts):
        raise BadRequest("path leaves the folder")
    return path


def notebook_bytes(content: object) -> bytes:
    """Write what a page calls a notebook as Jupyter would into its file. Raises BadRequest."""
    try:
        text = nbformat.writes(nbformat.from_dict(content), version=nbformat.NO_CONVERT)
    except Exception as exc:
        # Whatever nbformat stumbles over: the page has Jupyter's own way left.
        raise BadRequest("content is no notebook") from exc
    return bytes(f"{text}\n".encode("utf-8", "backslashreplace"))


def is_notebook(path: str) -> bool:
    """Whether a save at this path makes a stored notebook: not a checkpoint, nothing hidden."""
    parts = PurePosixPath(path).parts
    return path.endswith(".ipynb") and not any(part.startswith(".") for part in parts)


def stem(path: str) -> str:
    return PurePosixPath(path).stem
