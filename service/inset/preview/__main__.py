"""The renderer: a process that turns notebooks into pages, one after the other, until its input ends.

Asked by `workers`, over pipes: each message is eight bytes of length, and so many bytes. An answer begins with one byte
that says what it is; a lone `R` says that it is ready. It runs with an empty environment and writes no file; what it is
given is hostile.
"""

import os
import resource
import sys
from typing import BinaryIO

from inset.preview.contents import Unreadable, read_contents
from inset.preview.page import whole_page
from inset.preview.rendering import render_body

MEMORY_LIMIT = 2 * 1024**3
"""Bytes of address space."""


def main() -> None:
    """Answer until there is nothing more to read."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    answers.write(b"R")
    answers.flush()
    while header := asked.read(8):
        kind, answer = _answer(asked.read(int.from_bytes(header)))
        _write(answers, kind, answer)


def _answer(content: bytes) -> tuple[bytes, bytes]:
    try:
        return b"H", whole_page(render_body(read_contents(content))).encode()
    except Unreadable as exc:
        return b"U", str(exc).encode()
    except MemoryError:
        return b"U", b"it takes too much memory to show"
    except Exception as exc:
        # Not what it says: that may be the notebook's own words, and this goes to a log.
        trace = exc.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "nowhere"
        return b"F", f"{type(exc).__name__} at {where}".encode()


def _write(answers: BinaryIO, kind: bytes, answer: bytes) -> None:
    answers.write(kind + len(answer).to_bytes(8))
    answers.write(answer)
    answers.flush()


if __name__ == "__main__":
    main()
