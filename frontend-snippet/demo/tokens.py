"""The JWTs by which Inset knows this host and its users."""

import hashlib
import hmac
import time
from dataclasses import dataclass

from jose import JWTError, jwt

from .settings import Settings

TOKEN_SECONDS = 300
LOGIN_SECONDS = 12 * 3600


@dataclass(frozen=True)
class Tokens:
    """Signs for Inset, and signs this application's own session cookie."""

    settings: Settings

    def for_browser(self, user: str) -> str:
        """Sign the JWT that a user's browser shows to Inset."""
        return self._for_inset({"sub": user})

    def for_backend(self, user: str) -> str:
        """Sign the JWT with which this backend acts for a user."""
        return self._for_inset({"sub": self.settings.host_id, "act_for": user})

    def login(self, user: str) -> str:
        """Sign the session cookie."""
        claims = {"sub": user, "exp": int(time.time()) + LOGIN_SECONDS}
        return jwt.encode(claims, self._cookie_key, algorithm="HS256")

    def logged_in(self, cookie: str) -> str | None:
        """Read the user out of a session cookie; None if it is forged or too old."""
        try:
            return str(jwt.decode(cookie, self._cookie_key, algorithms=["HS256"])["sub"])
        except (JWTError, KeyError):
            return None

    def _for_inset(self, who: dict[str, str]) -> str:
        settings, now = self.settings, int(time.time())
        claims = {"iss": settings.host_id, "aud": settings.service_url, "iat": now, "exp": now + TOKEN_SECONDS, **who}
        return jwt.encode(
            claims,
            settings.secret.get_secret_value(),
            algorithm=settings.algorithm,
            headers={"kid": settings.key_id},
        )

    @property
    def _cookie_key(self) -> str:
        # A key of its own, so that neither kind of token can ever pass for the other.
        return hmac.digest(self.settings.secret.get_secret_value().encode(), b"fieldnotes cookie", hashlib.sha256).hex()
