"""Telling, without writing it anew, whether a notebook is written exactly as nbformat would write it.

nbformat's writer takes thirty times as long as this, and most of what is uploaded was written by it in the first place.
"""

from io import BytesIO
from itertools import zip_longest
from typing import Any

import orjson

_TRANSIENT = ("orig_nbformat", "orig_nbformat_minor", "signature")
_SPLIT_TYPES = ("application/javascript", "image/svg+xml")
_WRITTEN = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def is_canonical(content: bytes, parsed: dict[str, Any]) -> bool:
    """Tell whether these bytes, of which orjson made this valid notebook, are what nbformat would make of it.

    False for a few that are, too: those that hold what orjson reads or writes in its own way.
    """
    if any(name in parsed["metadata"] for name in _TRANSIENT) or not _ids_are_unique(parsed["cells"]):
        return False
    return all(map(_is_written_out, parsed["cells"])) and _is_laid_out(content, orjson.dumps(parsed, option=_WRITTEN))


def _ids_are_unique(cells: list[dict[str, Any]]) -> bool:
    ids = [cell["id"] for cell in cells if "id" in cell]
    return len(set(ids)) == len(ids)


def _is_written_out(cell: dict[str, Any]) -> bool:
    """Tell whether all texts of a cell are lists of lines, and nothing is in it that is not kept."""
    bundles = [
        *cell.get("attachments", {}).values(),
        *(out["data"] for out in cell.get("outputs", ()) if "data" in out),
    ]
    texts = [cell["source"], *(out["text"] for out in cell.get("outputs", ()) if "text" in out)]
    texts += [data for bundle in bundles for type, data in bundle.items() if _is_split(type)]
    return "trusted" not in cell["metadata"] and not any(isinstance(text, str) for text in texts)


def _is_split(type: str) -> bool:
    return type.startswith("text/") or type in _SPLIT_TYPES


def _is_laid_out(content: bytes, written: bytes) -> bool:
    """Compare with what orjson writes, which indents by two where nbformat indents by one."""
    for line, wanted in zip_longest(BytesIO(content), BytesIO(written), fillvalue=b""):
        text = line.lstrip(b" ")
        if wanted.lstrip(b" ") != text or len(wanted) - len(text) != 2 * (len(line) - len(text)):
            return False
    return True
