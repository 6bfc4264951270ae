"""The documentation as its readers follow it: what its pages give to be copied, in its order."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.support.real_hub import ROOT

DOCS = ROOT / "docs"

_PART = re.compile(
    r'^=== "(?P<tab>[^"]+)"$'
    r"|^(?P<mark>(?:<!-- runnable -->\n)?)(?P<indent> *)```(?P<language>[\w+]*)(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A piece of code on a page."""

    language: str
    code: str
    title: str
    """The file that the reader puts it into, or nothing."""
    tab: str
    """The tab that it is in, or nothing for what every reader sees."""
    runnable: bool


def blocks(page: Path) -> list[Block]:
    """Give a page's pieces of code, in their order."""
    found, tab = [], ""
    for part in _PART.finditer(page.read_text()):
        if part["tab"]:
            tab = part["tab"]
            continue
        block = Block(
            language=part["language"],
            code=dedent(part["code"]),
            title=part["title"] or "",
            tab=tab if part["indent"] else "",
            runnable=bool(part["mark"]),
        )
        found.append(block)
    return found


def pages() -> list[Path]:
    """Give every page that is written, not generated."""
    return sorted(page for page in DOCS.rglob("*.md") if "samples" not in page.relative_to(DOCS).parts)
