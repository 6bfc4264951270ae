"""The JWTs by which the service knows a host application and its users."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jose import jwt

from inset_client.models import Capability

Algorithm = Literal["HS256", "RS256", "ES256"]


@dataclass(frozen=True)
class HostKey:
    """What a host application signs with, as it is registered with the service."""

    issuer: str
    """The host application's id."""
    audience: str
    """The service's public URL."""
    key_id: str
    key: str = field(repr=False)
    """The shared secret (HS256), or the PEM of the private key."""
    algorithm: Algorithm = "HS256"
    lifetime: int = 300
    """Seconds until a token expires."""

    def for_user(self, user: str, *, may: Sequence[Capability] | None = None) -> str:
        """Sign a token as which the user calls by himself; `may` narrows what he may do in a notebook."""
        return self._sign({"sub": user} if may is None else {"sub": user, "may": list(may)})

    def for_backend(self, user: str) -> str:
        """Sign a token as which the host application's backend acts for a user, bound by no capabilities."""
        return self._sign({"sub": self.issuer, "act_for": user})

    def _sign(self, who: dict[str, Any]) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": self.audience, "iat": now, "exp": now + self.lifetime, **who}
        return jwt.encode(claims, self.key, algorithm=self.algorithm, headers={"kid": self.key_id})


class Token:
    """A token that is signed anew when half of its life is over."""

    def __init__(self, sign: Callable[[], str], *, lifetime: int) -> None:
        self._sign = sign
        self._fresh = lifetime / 2
        self._token = ""
        self._signed_at = float("-inf")

    def __str__(self) -> str:
        now = time.monotonic()
        if now > self._signed_at + self._fresh:
            self._token, self._signed_at = self._sign(), now
        return self._token
