"""Cutting a notebook's bytes into a skeleton and the large pieces that other versions have, too.

It is lexical: nothing is parsed, so that any bytes come back as they were. In JSON a string holds no raw line break,
and so a line's indentation is structure: in the text that nbformat writes, an output opens and closes at four spaces.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SMALLEST_OUTPUT = 1024
"""Bytes from which an output is a piece of its own."""
SMALLEST_STRING = 4096
"""Bytes from which any other string is one: an attachment, a widget's state, whatever has another layout."""
KEY_LENGTH = 20

_OPENS, _CLOSES = b"\n    {\n", b"\n    }"
_MARK = b"\0"
"""Stands before a key in a skeleton."""
_ITSELF = bytes(KEY_LENGTH)
"""Instead of a key: the mark, which JSON never has in it, is part of the content."""


@dataclass(frozen=True)
class Split:
    """Bytes cut at the borders of their large pieces."""

    literals: list[bytes]
    """What is around the pieces: one more than there are of them."""
    pieces: list[bytes]
    spans: list[tuple[int, int]]
    """Where the pieces were."""


def split(content: bytes) -> Split:
    """Cut out what is large. Raises nothing: what looks like no notebook has few pieces or none."""
    literals, at, spans = [], 0, list(_spans(content))
    for begin, end in spans:
        literals.append(escape(content[at:begin]))
        at = end
    literals.append(escape(content[at:]))
    return Split(literals, [content[begin:end] for begin, end in spans], spans)


def escape(content: bytes) -> bytes:
    """Make a skeleton of bytes that have no pieces."""
    return content.replace(_MARK, _MARK + _ITSELF)


def skeleton(parts: Split, keys: list[bytes]) -> bytes:
    """Write what is left of a split document, with each piece's key in its place."""
    written = [parts.literals[0]]
    for key, literal in zip(keys, parts.literals[1:], strict=True):
        written += (_MARK, key, literal)
    return b"".join(written)


def references(text: bytes) -> list[bytes]:
    """Give the keys in a skeleton, in order, as often as they occur."""
    keys = (text[at + 1 : at + 1 + KEY_LENGTH] for at in _marks(text))
    return [key for key in keys if key != _ITSELF]


def join(text: bytes, pieces: Mapping[bytes, bytes]) -> bytes:
    """Put a skeleton's pieces back. Raises `KeyError` if one is missing."""
    written: list[bytes] = []
    at = 0
    for mark in _marks(text):
        key = text[mark + 1 : mark + 1 + KEY_LENGTH]
        written += (text[at:mark], _MARK if key == _ITSELF else pieces[key])
        at = mark + 1 + KEY_LENGTH
    written.append(text[at:])
    return b"".join(written)


def _marks(text: bytes) -> Iterator[int]:
    at = text.find(_MARK)
    while at >= 0:
        yield at
        at = text.find(_MARK, at + 1 + KEY_LENGTH)


def _spans(content: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    for begin, end in _outputs(content):
        yield from _strings(content, at, begin)
        yield begin, end
        at = end
    yield from _strings(content, at, len(content))


def _outputs(content: bytes) -> Iterator[tuple[int, int]]:
    begin = content.find(_OPENS)
    while begin >= 0:
        end = content.find(_CLOSES, begin)
        if end < 0:
            return
        end += len(_CLOSES)
        if end - begin >= SMALLEST_OUTPUT:
            yield begin, end
        begin = content.find(_OPENS, end)


def _strings(content: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
    if end - begin < SMALLEST_STRING:
        return
    texts = content[begin:end].split(b'"')
    if len(max(texts, key=len)) < SMALLEST_STRING:
        return
    for text in texts:
        if len(text) >= SMALLEST_STRING:
            yield begin, begin + len(text)
        begin += len(text) + 1
