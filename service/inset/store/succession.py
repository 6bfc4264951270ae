"""Which piece took the place of which, from one version of a notebook to the next."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher


def successions(before: Sequence[bytes], after: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Give pairs of keys: one in `after`, and the one in `before` that stood where it stands, between the same others.

    It goes by the order of the references in two skeletons, which is that of the cells and their outputs.
    """
    for what, begin, end, new_begin, new_end in SequenceMatcher(None, before, after).get_opcodes():
        if what == "replace":
            yield from zip(after[new_begin:new_end], before[begin:end], strict=False)
