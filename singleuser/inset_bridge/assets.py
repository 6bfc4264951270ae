"""The notebook interface's own files, at one origin for all servers.

    python -m inset_bridge.assets PORT [ADDRESS]      serves them
    python -m inset_bridge.assets --to FOLDER         writes them, for a web server (deploy/edge)

A server's origin is known when a seat is taken, and answers when the server runs. Here browsers find the same files
before that, and find them again whichever seat they get. There is nobody's content here, and no cookie.
"""

import asyncio
import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import notebook
from tornado.web import Application, RequestHandler

from inset_bridge.notebook_page import main_script
from inset_bridge.static_files import CompressedFiles

FILES = Path(notebook.__file__).parent / "static"

_WARM_UP = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self' 'unsafe-eval'; style-src \
'unsafe-inline'; font-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'">
<title>Fetches a notebook's scripts ahead</title>
<script id="jupyter-config-data" type="application/json">{{"fullStaticUrl": "/{version}"}}</script>
<script src="/warm-up.js"></script>
<script defer src="/{version}/{script}"></script>
</head>
<body></body>
</html>
"""
_WITHHELD = """// Notebook starts on this. What it is made of is here by then: nothing of it need stay in memory.
addEventListener('load', (event) => {
  event.stopImmediatePropagation();
  location.replace('about:blank');
}, true);
"""
_KEPT_VERSIONS = 3
"""Servers of an older image go on after an upgrade, and their pages ask for what they were told of."""


def version() -> str:
    """Give what differs where any of the files does: their names hold a hash of what is in them."""
    names = sorted(file.name for file in FILES.iterdir() if file.suffix != ".gz")
    return sha256("\n".join(names).encode()).hexdigest()[:16]


class _Public(RequestHandler):
    def set_default_headers(self) -> None:
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        self.set_header("X-Content-Type-Options", "nosniff")


class _Files(_Public, CompressedFiles):
    """Kept for good: another version is another address."""

    def set_extra_headers(self, path: str) -> None:
        super().set_extra_headers(path)
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")


class _WarmUp(_Public):
    """A page that shows nothing and fetches what a notebook's page does, in the same partition of the browser's cache.

    Any page may frame it.
    """

    def initialize(self, body: str, content_type: str) -> None:
        self._body, self._content_type = body, content_type

    def get(self) -> None:
        self.set_header("Content-Type", self._content_type)
        self.set_header("Cache-Control", "public, max-age=60")
        self.finish(self._body)


def application() -> Application:
    """Give the whole of it. Raises ValueError where Notebook's page is made in another way than is known."""
    here = version()
    html: dict[str, Any] = {"body": _warm_up(here), "content_type": "text/html"}
    withheld: dict[str, Any] = {"body": _WITHHELD, "content_type": "text/javascript"}
    return Application(
        [
            (rf"/{here}/(.+)", _Files, {"path": str(FILES)}),
            (r"/warm-up", _WarmUp, html),
            (r"/warm-up\.js", _WarmUp, withheld),
        ]
    )


def write(folder: Path) -> None:
    """Put it all into a folder, beside the versions before. Raises ValueError as `application` does."""
    here = version()
    page = _warm_up(here)
    if not (folder / here).exists():
        # Whole or not at all: it is served meanwhile.
        beside = Path(tempfile.mkdtemp(dir=folder))
        shutil.copytree(FILES, beside, dirs_exist_ok=True)
        beside.chmod(0o755)
        beside.rename(folder / here)
    (folder / here).touch()
    for name, body in (("warm-up.js", _WITHHELD), ("warm-up.html", page)):
        new = folder / f".{name}"
        new.write_text(body)
        new.rename(folder / name)
    versions = sorted((one for one in folder.iterdir() if one.is_dir()), key=lambda one: one.stat().st_mtime)
    for old in versions[:-_KEPT_VERSIONS]:
        shutil.rmtree(old)


def _warm_up(here: str) -> str:
    script = main_script()
    if script is None:
        raise ValueError("the installed Notebook has no page that is known")
    return _WARM_UP.format(version=here, script=script)


async def serve(arguments: Sequence[str]) -> None:
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    port, address = int(arguments[0]), arguments[1] if len(arguments) > 1 else "127.0.0.1"
    application().listen(port, address)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "--to":
        write(Path(sys.argv[2]))
    else:
        asyncio.run(serve(sys.argv[1:]))
