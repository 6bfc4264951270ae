"""The list of decisions."""

from pathlib import Path

_HEAD = """# Decisions

What was hard to decide, in half a page each: how things were, what was decided, what follows from it.
"""


def page(folder: Path) -> str:
    """List every decision by its title, newest first."""
    files = sorted(folder.glob("0*.md"), reverse=True)
    titles = {file.name: file.read_text().partition("\n")[0].removeprefix("# ") for file in files}
    listed = "\n".join(f"- [{title}]({name})" for name, title in titles.items())
    return f"{_HEAD}\n{listed}\n"
