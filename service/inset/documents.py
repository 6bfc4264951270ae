"""Notebook documents: what counts as one, and the exact bytes in which it is kept."""

import asyncio
import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import ModuleType
from typing import Any, TypeGuard

import orjson

from inset.canonical import is_canonical
from inset.cells import Cut, cut
from inset.errors import NotANotebook, NotJson, UnsupportedNbformat

_FILE_NAME_LENGTH = 80


@dataclass(frozen=True)
class Document:
    """A notebook's bytes, and whether nbformat accepts them."""

    content: bytes
    valid: bool = True
    cut: Cut | None = field(default=None, compare=False, repr=False)
    """Its cells, if it is sound: valid, and written as nbformat would write it."""

    @cached_property
    def sha256(self) -> str:
        """The hash that names these bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def size(self) -> int:
        """Bytes, not characters."""
        return len(self.content)


async def nbformat_loaded() -> None:
    """Have nbformat imported, by a thread: who looks at a document on the event loop waits for this first."""
    if not _nbformat.cache_info().currsize:
        await asyncio.to_thread(_nbformat)


@cache
def _nbformat() -> ModuleType:
    # Here, since with all that it imports it is a twelfth of a start, and no answer needs it before the first document.
    import nbformat.validator

    return nbformat


def empty_document() -> Document:
    """Make a notebook without cells' content: one empty code cell, for Python."""
    nbformat = _nbformat()
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell()],
        metadata={"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}},
    )
    return _canonical(notebook)


def uploaded_document(content: bytes, known: Cut | None = None) -> Document:
    """Accept what somebody uploads, if it is a valid notebook. `known` is a sound document of the same one before.

    Raises `NotJson`, `NotANotebook` or `UnsupportedNbformat`.
    """
    if cells := _sound(content, known):
        return Document(content, cut=cells)
    try:
        parsed = json.loads(content)
    except UnicodeDecodeError as exc:
        raise NotJson("it is not UTF-8 text") from exc
    except json.JSONDecodeError as exc:
        raise NotJson(f"{exc.msg} at line {exc.lineno}, column {exc.colno}") from exc
    except RecursionError as exc:
        raise NotJson("it is nested too deeply") from exc
    return parsed_document(parsed)


def parsed_document(parsed: Any) -> Document:
    """Accept a document that came as JSON already parsed. Raises as `uploaded_document` does."""
    if not isinstance(parsed, dict):
        raise NotANotebook("it is not a JSON object")
    try:
        json.dumps(parsed, allow_nan=False)
    except (RecursionError, ValueError) as exc:
        raise NotJson("it is nested too deeply, or holds a number that JSON can't") from exc
    if "nbformat" not in parsed:
        raise NotANotebook("it has no `nbformat`")
    if parsed["nbformat"] != 4:
        raise UnsupportedNbformat(parsed["nbformat"])
    reason = _invalidity(parsed)
    if reason:
        raise NotANotebook(reason)
    try:
        return _canonical(_nbformat().from_dict(parsed))
    except RecursionError as exc:
        raise NotJson("it is nested too deeply") from exc


def document_from_jupyter(content: bytes, known: Cut | None = None) -> Document:
    """Take what Jupyter saved, byte for byte. It is always stored: refusing would lose somebody's work."""
    if cells := _sound(content, known):
        return Document(content, cut=cells)
    try:
        parsed = _quickly_parsed(content) or json.loads(content)
    except (ValueError, RecursionError):
        return Document(content, valid=False)
    return Document(content, valid=_is_notebook(parsed))


def file_name(name: str) -> str:
    """Turn a notebook's name into a file name that is safe on every disk and in every URL path.

    >>> file_name("Q3/Q4: réseaux … 🚀")
    'Q3-Q4-réseaux.ipynb'
    """
    text = unicodedata.normalize("NFC", name)
    words = re.sub(r"[^\w]+", "-", text).strip("-_")
    # A file name is limited in bytes, and the cut must not fall into a character.
    stem = words.encode()[:_FILE_NAME_LENGTH].decode(errors="ignore").strip("-_")
    return f"{stem or 'notebook'}.ipynb"


def _sound(content: bytes, known: Cut | None) -> Cut | None:
    """Cut it into cells if it is a valid notebook, written as nbformat would write it.

    None for a few that are, too: those that can't be told quickly.
    """
    found = cut(content, known)
    if found is None:
        return None
    whole, new = found
    if not new and known is not None and whole.tail is not known.tail:
        new = [whole.cells[0]]  # what is around the cells is new
    for batch in whole.batches(new):
        part = whole.of(batch)
        parsed = _quickly_parsed(part)
        if not _is_notebook(parsed) or not is_canonical(part, parsed) or len(parsed["cells"]) != len(batch):
            return None
        for cell, named in zip(batch, parsed["cells"], strict=True):
            cell.id = named.get("id")
    own = [cell.id for cell in whole.cells if cell.id is not None]
    return whole if len(set(own)) == len(own) else None


def _quickly_parsed(content: bytes) -> Any:
    """Parse in a fifth of json's time what has nothing odd in it: NaN, half a surrogate pair, another encoding."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _is_notebook(parsed: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(parsed, dict) and parsed.get("nbformat") == 4 and not _invalidity(parsed)


def _canonical(notebook: Any) -> Document:
    text = _nbformat().writes(notebook)
    # A lone surrogate has no UTF-8 form; backslashreplace writes exactly JSON's own escape for it.
    return Document((text + "\n").encode("utf-8", "backslashreplace"))


def _invalidity(parsed: dict[str, Any]) -> str | None:
    iter_validate = _nbformat().validator.iter_validate  # not `validate`, which repairs what it is given
    try:
        errors = iter_validate(parsed, version=4, version_minor=int(parsed["nbformat_minor"]))
        error = next(errors, None)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return "its cells or metadata have a form that no notebook has"
    return " ".join(str(error.message).split())[:300] if error else None
