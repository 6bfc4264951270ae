"""What PostgreSQL's errors mean, by their SQLSTATE: asked of any driver's, without importing one."""

_READ_ONLY_TRANSACTION = "25006"

_NO_TEXT = "22021"

_AWAY_CLASSES = ("08", "53", "57", "58")
"""Classes of SQLSTATE: no connection, no room or memory, stopped by its operator or by a time-out, a broken disk."""

_AWAY = frozenset({"25P03", "40001", "40P01", "55P03"})
"""And of others: idle within a transaction, serialisation, deadlock, a lock that was not to be had in time."""


def is_away(error: BaseException | None, *, read_only: bool) -> bool:
    """Tell whether an error of the driver says nothing against what was asked."""
    if isinstance(error, OSError):
        return True
    state = getattr(error, "sqlstate", None) or ""
    if state == _READ_ONLY_TRANSACTION:
        # A standby, or a disk that is being repaired. In a transaction that we began to read it is our mistake.
        return not read_only
    return state[:2] in _AWAY_CLASSES or state in _AWAY


def is_no_text(error: BaseException | None) -> bool:
    """Tell whether an error means that a text was given which PostgreSQL cannot hold: one with a NUL."""
    return getattr(error, "sqlstate", None) == _NO_TEXT
