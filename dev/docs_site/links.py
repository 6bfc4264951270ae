"""Links of the documents that lead out of docs/: to sources, which the site shows on pages of their own."""

import posixpath
import re
from collections.abc import Callable, Mapping
from pathlib import Path

_LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)\s#]+)(#[^)\s]*)?(?=\))")
_NAMED = re.compile(r"(?<!\[)`docs/([\w/.-]+\.md)`(?!\])")
_FENCE = re.compile(r"^( *)(```+).*?^\1\2\s*$", re.MULTILINE | re.DOTALL)

_LANGUAGES = {
    ".ts": "ts",
    ".tsx": "tsx",
    ".js": "js",
    ".py": "python",
    ".yml": "yaml",
    ".yaml": "yaml",
    ".json": "json",
}


def sources(pages: Mapping[str, str], root: Path) -> dict[str, str]:
    """Make a page of each file of the checkout that the pages link to and docs/ does not hold."""
    made = {}
    for name, text in pages.items():
        for link in _LINK.finditer(_without_fences(text)):
            target = _target(name, link[1])
            file = root / target
            if not target.startswith("docs/") and file.is_file():
                made[_page_of(target)] = _shown(target, file)
    return made


def within_the_site(text: str, page: str, root: Path, there: set[str]) -> str:
    """Give a page's text with its links to sources leading to their pages, and with documents named in it as links."""

    def link(found: re.Match[str]) -> str:
        target = _target(page, found[1])
        if target.startswith("docs/"):
            # A folder is its index.
            index = f"{target.removeprefix('docs/')}/index.md"
            return f"{_from(page, index)}{found[2] or ''}" if index in there else found[0]
        if _page_of(target) in there:
            return _from(page, _page_of(target))
        return found[0]

    def named(found: re.Match[str]) -> str:
        return f"[`{found[1]}`]({_from(page, found[1])})" if found[1] in there else found[0]

    return _outside_fences(text, lambda part: _NAMED.sub(named, _LINK.sub(link, part)))


def _target(page: str, link: str) -> str:
    """Say which path of the checkout a page's link leads to."""
    return posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))


def _from(page: str, target: str) -> str:
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def _page_of(path: str) -> str:
    return f"source/{path}.md"


def _shown(path: str, file: Path) -> str:
    text, head = (
        file.read_text(),
        f"---\nsearch:\n  exclude: true\nhide:\n  - toc\n---\n\n# {file.name}\n\n`{path}`\n\n",
    )
    return f"{head}````{_LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n````\n"


def _without_fences(text: str) -> str:
    return _FENCE.sub("", text)


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])
