"""What a notebook's page will ask for, fetched by the entry page while the ticket is being redeemed."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_LIST = Path(__file__).with_name("ahead.json")
"""Names of Notebook's own files, as a page was seen to load them; the largest first."""


@cache
def files_ahead() -> tuple[str, ...]:
    """Give the files' names below `static/notebook/`; without those that the installed Notebook has not."""
    import notebook

    return tuple(_present(json.loads(_LIST.read_text()), Path(notebook.__file__).parent / "static"))


def addresses(base_url: str) -> list[str]:
    """Give their addresses, letter for letter as the page will ask: that is what the browser's cache goes by."""
    return [f"{base_url}static/notebook/{name}?v={name.split('.')[1]}" for name in files_ahead()]


def _present(names: Iterable[str], folder: Path) -> Iterable[str]:
    return (name for name in names if (folder / name).is_file())
