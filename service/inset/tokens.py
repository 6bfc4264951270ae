"""Hosts' JWTs: what one claims of itself, and what it says once it is verified."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Annotated

from jose import JOSEError, jwk, jws, jwt
from jose.backends.base import Key
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from inset.clock import now
from inset.errors import (
    TokenAlgorithm,
    TokenAudience,
    TokenClaims,
    TokenExpired,
    TokenIssuer,
    TokenLifetime,
    TokenMalformed,
    TokenSignature,
)
from inset.models import EVERY_CAPABILITY, Capability, HostKey

_REMEMBERED = 2000
"""Tokens that are not verified anew with every call; each of a user's pages has one for some minutes."""


def _printable(user: str) -> str:
    if not user.isprintable():
        raise ValueError("must be printable")
    return user


User = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
"""A user as his host application names him: 1 to 255 printable characters."""


class Claims(BaseModel):
    """What a host's JWT must say. Times are seconds since 1970."""

    iss: str
    aud: str | list[str]
    sub: User
    exp: float = Field(allow_inf_nan=False)
    iat: float = Field(default=0, allow_inf_nan=False)
    nbf: float = Field(default=0, allow_inf_nan=False)
    act_for: User | None = None
    may: list[Capability] = list(EVERY_CAPABILITY)


@dataclass(frozen=True)
class Named:
    """What is needed to verify a token, as it claims it: nobody has believed it yet."""

    issuer: str
    kid: str
    alg: object
    user: str
    """Empty if it is no name."""


class TokenReader:
    """Verifies tokens, and remembers by their hashes what those said that were good.

    What can change is asked anew each time: the key, which the caller brings from the database, and the time.
    """

    def __init__(self, *, audience: str, max_lifetime: timedelta, skew: timedelta) -> None:
        self._audience = audience
        self._max_lifetime = int(max_lifetime.total_seconds())
        self._skew = int(skew.total_seconds())
        self._good: dict[bytes, tuple[Named, HostKey, Claims]] = {}

    def named(self, token: str) -> Named:
        """Read what a token claims of itself. All else is ignored until it is verified. Raises `Unauthenticated`."""
        good = self._good.get(_digest(token))
        return good[0] if good else _named(token)

    def verified(self, token: str, key: HostKey) -> Claims:
        """Verify a token by the key that its host application has for it. Raises `Unauthenticated`."""
        digest = _digest(token)
        good = self._good.get(digest)
        if good and (good[1] is key or good[1] == key):
            self._check_times(good[2])
            return good[2]
        named = _named(token)
        # Before any verification: a token does not choose how it is checked.
        if named.alg != key.alg:
            raise TokenAlgorithm
        claims = _claims(token, key)
        self._check_times(claims)
        if self._audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
            raise TokenAudience(self._audience)
        if len(self._good) >= _REMEMBERED:
            del self._good[next(iter(self._good))]
        self._good[digest] = named, key, claims
        return claims

    def _check_times(self, claims: Claims) -> None:
        time = now().timestamp()
        if claims.exp + self._skew <= time:
            raise TokenExpired
        if claims.exp - self._skew > time + self._max_lifetime or max(claims.nbf, claims.iat) - self._skew > time:
            raise TokenLifetime(self._max_lifetime)
        # Not one that was signed long ago for today, either: a revocation is forgotten when its tokens must be dead.
        if claims.iat and claims.exp - claims.iat > self._max_lifetime + self._skew:
            raise TokenLifetime(self._max_lifetime)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _named(token: str) -> Named:
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.get_unverified_claims(token)
    except (JOSEError, RecursionError) as exc:
        raise TokenMalformed from exc
    if "crit" in header:
        # It says: refuse me unless you understand this. Nothing of the kind is understood here (RFC 7515, 4.1.11).
        raise TokenMalformed
    issuer, kid, user = claims.get("iss"), header.get("kid"), claims.get("sub")
    if not isinstance(issuer, str) or not issuer.isascii() or not isinstance(kid, str):
        raise TokenIssuer
    return Named(issuer, kid, header.get("alg"), user if isinstance(user, str) and user.isprintable() else "")


@lru_cache(maxsize=1000)
def _constructed(key: str, alg: str) -> Key:
    """Read a key, which takes longer than to verify with it."""
    return jwk.construct(key, alg)


def _claims(token: str, key: HostKey) -> Claims:
    try:
        payload = jws.verify(token, _constructed(key.key, key.alg), algorithms=[key.alg])
    except JOSEError as exc:
        raise TokenSignature from exc
    try:
        return Claims.model_validate_json(payload)
    except ValidationError as exc:
        raise TokenClaims(
            "The token needs `iss`, `aud`, `sub` (1 to 255 printable characters) and `exp`; "
            f"`may`, if it is there, is a list out of {', '.join(EVERY_CAPABILITY)}."
        ) from exc
