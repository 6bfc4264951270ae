"""What a data policy means to a spawner: `restricted` is a server that reaches nothing but what is listed."""

from collections.abc import Mapping
from typing import Any, Literal

from jupyterhub.spawner import SpawnException

DataPolicy = Literal["open", "restricted"]

NOT_ENFORCEABLE = "policy-not-enforceable"
"""By this word the service knows this refusal from every other."""


def of(user_options: Mapping[str, Any]) -> DataPolicy:
    """Read what the service asks for. Raises ValueError for a policy that nobody knows: it might be a stricter one."""
    policy = user_options.get("data_policy", "open")
    if policy not in ("open", "restricted"):
        raise ValueError("user_options.data_policy is not one")
    return policy  # type: ignore[no-any-return]


def not_enforceable(why: str) -> SpawnException:
    """Make the refusal to start a server that could not be kept to its policy; `why` is for the hub's log."""
    return SpawnException(NOT_ENFORCEABLE, reason=NOT_ENFORCEABLE, log_message=f"{NOT_ENFORCEABLE}: {why}")
