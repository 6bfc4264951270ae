"""The navigation: what it names and is there, and what is there and it does not name."""

from collections.abc import Iterable
from typing import Any

Nav = list[Any]
"""As MkDocs writes it: pages, and dicts of one title and its page or its part of the navigation."""


def complete(nav: Nav, pages: Iterable[str]) -> Nav:
    """Leave out what isn't there; add what it doesn't name: decisions and the API's to theirs, the rest to "More"."""
    there = sorted(pages)
    kept = _kept(nav, set(there))
    named = set(_named(kept))
    rest = [page for page in there if page not in named and not page.startswith("source/")]
    for title, folder in (("Decisions", "decisions/"), ("API", "reference/api/")):
        own = [page for page in rest if page.startswith(folder)]
        _below(kept, title, own)
        rest = [page for page in rest if page not in own]
    return [*kept, {"More": rest}] if rest else kept


def _kept(nav: Nav, there: set[str]) -> Nav:
    kept: Nav = []
    for entry in nav:
        if isinstance(entry, str):
            kept += [entry] if entry in there else []
            continue
        [(title, below)] = entry.items()
        if isinstance(below, list):
            kept.append({title: _kept(below, there)})
        elif below in there:
            kept.append(entry)
    return kept


def _named(nav: Nav) -> Iterable[str]:
    for entry in nav:
        for below in entry.values() if isinstance(entry, dict) else [entry]:
            yield from _named(below) if isinstance(below, list) else [below]


def _below(nav: Nav, title: str, pages: list[str]) -> None:
    """Make a page a section whose index it is."""
    for entry in nav:
        if not isinstance(entry, dict):
            continue
        if isinstance(index := entry.get(title), str):
            entry[title] = [index, *pages]
        for below in entry.values():
            if isinstance(below, list):
                _below(below, title, pages)
