"""When a call is sent again, and after how long."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from inset_client.operations import Operation

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_REFUSED = (429, 503)
"""What the service answers before it has done anything that counts."""
_LOST = (502, 504)
"""What a proxy answers that has lost the service: as good as no answer."""


@dataclass(frozen=True)
class Retries:
    """How patient a client is."""

    tries: int = 4
    """How often a call is sent at most; 1: never again."""
    first: float = 0.25
    """Seconds before the second try, doubled each time; some chance is taken away, so that many do not come at once."""
    longest: float = 20
    """The longest wait in seconds: if the service asks for more by `Retry-After`, its problem is raised at once."""

    def after(
        self, attempt: int, operation: Operation[Any], outcome: httpx.Response | httpx.TransportError
    ) -> float | None:
        """Say how long to wait after a try that failed; None if it was the last."""
        if attempt >= self.tries or not _may_repeat(operation, outcome):
            return None
        asked = _asked(outcome.headers) if isinstance(outcome, httpx.Response) else None
        if asked is None:
            asked = self.pause(attempt)
        return asked if asked <= self.longest else None

    def pause(self, attempt: int) -> float:
        """Give the wait before the next try, where nobody asked for one."""
        return min(self.first * 2.0 ** (attempt - 1), self.longest) * random.uniform(0.5, 1)


def _may_repeat(operation: Operation[Any], outcome: httpx.Response | httpx.TransportError) -> bool:
    if isinstance(outcome, httpx.Response):
        if outcome.status_code in _REFUSED:
            return True
        if outcome.status_code == 409:
            return "Retry-After" in outcome.headers  # the same request, which is under way
        return outcome.status_code in _LOST and operation.repeatable
    return isinstance(outcome, NEVER_SENT) or operation.repeatable


def _asked(headers: Mapping[str, str]) -> float | None:
    told = headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else None
