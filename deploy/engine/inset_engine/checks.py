"""Reading what is asked for by a list of what it may say: each name with a check for its value."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Check = Callable[[Any], bool]

FOLDER = re.compile(r"(/[A-Za-z0-9._-]+)+")
NOBODY = re.compile(r"[1-9][0-9]{0,8}:[1-9][0-9]{0,8}")

NO_RESOLVER = "127.0.0.1"
"""The one resolver that a container may name: itself, where none listens."""


class Refused(Exception):
    """What is refused, and by which word of it."""


def copied(asked: Mapping[str, Any], allowed: Mapping[str, Check], where: str) -> dict[str, Any]:
    copied = {}
    for name, value in asked.items():
        # What says nothing is left out: the engine's own defaults are what an empty container gets.
        if value is None or value is False or value in ("", [], {}):
            continue
        if name not in allowed or not allowed[name](value):
            raise Refused(f"{where}{name}")
        copied[name] = value
    return copied


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(name)
    return value


def needed(told: dict[str, Any], where: str, names: Iterable[str]) -> dict[str, Any]:
    """Give what was told back. Raises `Refused` if one of these is not in it."""
    for name in names:
        if name not in told:
            raise Refused(f"{where}{name} is needed")
    return told


def is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def each(value: Any, name: re.Pattern[str], check: Check) -> bool:
    return isinstance(value, dict) and all(name.fullmatch(key) and check(item) for key, item in value.items())


def exactly(wanted: object) -> Check:
    return lambda value: type(value) is type(wanted) and value == wanted


def up_to(most: int) -> Check:
    return lambda value: type(value) is int and 0 < value <= most


def matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))
