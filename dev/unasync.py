"""Writes the Python client's sync half from its async one, which is written by hand.

python dev/unasync.py            writes clients/python/inset_client/_sync anew
"""

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "clients" / "python" / "inset_client"
BY_HAND = {"waiting.py"}

_WORDS = {
    r"\basync (def|with|for)\b": r"\1",
    r"\bawait ": "",
    r"\bAsyncGenerator\[(.*), None\]": r"Generator[\1, None, None]",
    r"\bAsync([A-Z])": r"\1",
    r"\basynccontextmanager\b": "contextmanager",
    r"\b__a(enter|exit)__\b": r"__\1__",
    r"\ba(close|closing|read|iter_bytes|iter_lines)\b": r"\1",
    r"The client, written once: .*\.\"": 'The client for code that waits. Made by `dev/unasync.py`: change `_async`."',
    r"_async\.": "_sync.",
}


def written() -> dict[str, str]:
    """Give the sync half's files by their names."""
    files = {file.name: file for file in sorted((PACKAGE / "_async").glob("*.py")) if file.name not in BY_HAND}
    return {name: _formatted(_sync(file.read_text())) for name, file in files.items()}


def _sync(text: str) -> str:
    for pattern, replacement in _WORDS.items():
        text = re.sub(pattern, replacement, text)
    return text


def _formatted(text: str) -> str:
    """Have ruff write it as if it had been written so: imports in order, lines as long as they may be."""
    ruff = [sys.executable, "-m", "ruff"]
    name = str(PACKAGE / "_sync" / "client.py")
    for command in (["check", "--fix", "--quiet", "--select", "I,UP028", "--unsafe-fixes"], ["format", "--quiet"]):
        arguments = [*ruff, *command, "--stdin-filename", name, "-"]
        text = subprocess.run(arguments, input=text, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    for name, text in written().items():
        (PACKAGE / "_sync" / name).write_text(text)
