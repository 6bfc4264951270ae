"""Images as what they are, and not as text: base64 within a piece, decoded, with a recipe for the way back."""

import re
import struct
from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64

_RUN = re.compile(rb"[A-Za-z0-9+/]+(?:\\n[A-Za-z0-9+/]+)*={0,2}(?:\\n)?")
_SMALLEST_RUN = 256
_MARK = b"\0"
_COUNT, _RECIPE = struct.Struct("<II"), struct.Struct("<IIB")


def decode(piece: bytes) -> bytes | None:
    """Write a piece with its base64 decoded, or None if it has none that comes back exactly.

    The form: how many runs and how long the text is; each run's length, line length (0: one line) and whether a line
    break ends it; the text, with a NUL for each run; the runs.
    """
    if _MARK in piece:
        return None
    text: list[bytes] = []
    recipes: list[bytes] = []
    runs: list[bytes] = []
    at = 0
    for found in _RUN.finditer(piece):
        recipe = _recipe(found[0]) if len(found[0]) >= _SMALLEST_RUN else None
        if recipe:
            run, line, ends = recipe
            text += (piece[at : found.start()], _MARK)
            recipes.append(_RECIPE.pack(len(run), line, ends))
            runs.append(run)
            at = found.end()
    if not runs:
        return None
    around = b"".join((*text, piece[at:]))
    return b"".join((_COUNT.pack(len(runs), len(around)), *recipes, around, *runs))


def encode(decoded: bytes) -> bytes:
    """Give back the piece that was decoded. Raises `struct.error` or `ValueError` if the bytes are not such a one."""
    count, length = _COUNT.unpack_from(decoded)
    begin = _COUNT.size + count * _RECIPE.size
    first, *texts = decoded[begin : begin + length].split(_MARK)
    at, written = begin + length, [first]
    recipes = _RECIPE.iter_unpack(decoded[_COUNT.size : begin])
    for (size, line, ends), text in zip(recipes, texts, strict=True):
        written += (_written(decoded[at : at + size], line, bool(ends)), text)
        at += size
    return b"".join(written)


def _recipe(text: bytes) -> tuple[bytes, int, bool] | None:
    ends = text.endswith(b"\\n")
    lines = text.removesuffix(b"\\n").split(b"\\n")
    line = len(lines[0]) if len(lines) > 1 else 0
    try:
        run = a2b_base64(b"".join(lines), strict_mode=True)
    except NotBase64:
        return None
    return (run, line, ends) if _written(run, line, ends) == text else None


def _written(run: bytes, line: int, ends: bool) -> bytes:
    text = b2a_base64(run, newline=False)
    if line:
        text = b"\\n".join(text[at : at + line] for at in range(0, len(text), line))
    return text + b"\\n" if ends else text
