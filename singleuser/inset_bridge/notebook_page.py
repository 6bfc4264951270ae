"""What Notebook's page is made of, as the entry page has to know it to become that page itself."""

import re
from dataclasses import dataclass
from pathlib import Path

import notebook
from jupyterlab_server.config import get_page_config

from inset_bridge.interface import extensions_left, plugins_left_away

_MAIN = re.compile(r"{{page_config\.fullStaticUrl}}/(main\.[0-9a-f]+\.js\?v=[0-9a-f]+)")
_ASKED_FIRST = (
    "api/me",
    "api/kernelspecs",
    "lab/api/settings",
    "lab/api/translations/default",
    "lab/api/translations",
)
"""Below the server's prefix: what the page waits for, one after the other, before it shows anything."""


@dataclass(frozen=True)
class NotebookPage:
    script: str
    """The address of its first script, which fetches the others."""
    config: dict[str, str | list[str]]
    """What they read of the page's configuration as soon as they are there."""
    extensions: tuple[str, ...]
    """The addresses of the page extensions' scripts."""
    ahead: tuple[str, ...]
    """What they ask the server first."""
    pages: str
    """The address below which the notebooks' pages are."""
    contents: str
    """And below which their contents are."""


def main_script() -> str | None:
    """Name the page's first script in the installed Notebook; None if that is one whose page is made in another way."""
    template = Path(notebook.__file__).parent / "templates" / "notebooks.html"
    found = _MAIN.search(template.read_text()) if template.is_file() else None
    return found and found[1]


def notebook_page(
    prefix: str, may: frozenset[str], labextensions: list[str], *, scripts: str | None = None
) -> NotebookPage | None:
    """Read it from the installed Notebook; None if that is one whose page is made in another way.

    `scripts` is where Notebook's own are, if elsewhere than at this server.
    """
    script = main_script()
    if script is None:
        return None
    scripts = scripts or f"{prefix}static/notebook"
    installed = get_page_config(labextensions)
    config: dict[str, str | list[str]] = {
        "fullStaticUrl": scripts,
        "disabledExtensions": [*installed.get("disabledExtensions", []), *plugins_left_away(may)],
        "deferredExtensions": installed.get("deferredExtensions", []),
    }
    extensions = extensions_left(installed.get("federated_extensions", []))
    return NotebookPage(
        script=f"{scripts}/{script}",
        config=config,
        extensions=tuple(f"{prefix}lab/extensions/{one['name']}/{one['load']}" for one in extensions),
        ahead=tuple(prefix + path for path in _ASKED_FIRST),
        pages=f"{prefix}notebooks/",
        contents=f"{prefix}api/contents/",
    )
