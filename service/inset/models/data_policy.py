"""How far data may go: anywhere (`open`), or no further than the pages that show it (`restricted`).

All that a policy means is derived from it: what a user may do, and with that what his server and his page offer; what
network his server has, which is the hub's to enforce; and that an edge must stand in front.
"""

from collections.abc import Iterable

from inset.models.capabilities import Capability
from inset.settings import DataPolicy

_TAKEN: dict[DataPolicy, frozenset[Capability]] = {
    "open": frozenset(),
    "restricted": frozenset({"download", "terminals"}),
}
"""The capabilities that no user has, whatever his host application says."""


def stricter(one: DataPolicy, other: DataPolicy) -> DataPolicy:
    """Give the stricter of two."""
    return "restricted" if "restricted" in (one, other) else "open"


def within(policy: DataPolicy, may: Iterable[Capability]) -> frozenset[Capability]:
    """Give what of these capabilities a policy leaves."""
    return frozenset(may) - _TAKEN[policy]
