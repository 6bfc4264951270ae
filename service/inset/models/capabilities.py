"""What a user may do in a notebook: a host's registration sets the most, its JWTs may say less."""

from collections.abc import Iterable
from typing import Literal, cast, get_args

Capability = Literal["edit", "run", "download", "terminals"]
"""`edit`: change and save the notebook. `run`: have a kernel. `download`: fetch files, the notebook's own included.

`terminals`: have a shell, which runs code, so that it counts only beside `run`.
"""

EVERY_CAPABILITY: tuple[Capability, ...] = get_args(Capability)


def written(capabilities: Iterable[str]) -> str:
    """Write them as rows hold them: in one order, since sessions with equal ones share a server."""
    given = set(capabilities)
    if "run" not in given:
        given.discard("terminals")
    return " ".join(capability for capability in EVERY_CAPABILITY if capability in given)


def read(text: str) -> list[Capability]:
    """Read what `written` wrote."""
    return cast(list[Capability], text.split())
