"""Skeletons as bodies hold them: compressed, or as what differs from another version's."""

from collections.abc import Mapping
from dataclasses import dataclass

from inset.models import BodyFormat
from inset.store import compression
from inset.store.splitting import escape


@dataclass(frozen=True)
class Written:
    """What a body holds, beside the number of its version."""

    content: bytes
    format: BodyFormat
    base: int | None = None


def read_skeleton(number: int, bodies: Mapping[int, Written]) -> bytes:
    """Give a version's skeleton, from its body and those that it stands on.

    Raises `KeyError` if one of them is missing, `compression.Damaged` if one was not written here.
    """
    chain = [bodies[number]]
    while (base := chain[-1].base) is not None:
        chain.append(bodies[base])
    text = b""
    for body in reversed(chain):
        match body.format:
            case "whole":
                text = escape(body.content)
            case "quick" | "packed":
                text = compression.unpack(body.content)
            case _:
                text = compression.unpatch(body.content, text)
    return text


def write_skeleton(text: bytes, base: tuple[int, bytes] | None) -> Written:
    """Write a skeleton as small as it gets: on that of another version, if one is given that it has much of."""
    if base is None:
        return Written(compression.pack_hard(text), "packed")
    number, below = base
    patched = compression.patch(text, below)
    if 2 * len(patched) > len(compression.pack(text)):
        # Others will stand on this, and find more in it.
        return Written(compression.pack_hard(text), "packed")
    return Written(patched, "patch", number)
