"""Believes nobody: every JWT is verified as the service verifies it."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from jose import ExpiredSignatureError, JOSEError, jwt

from inset_client.models import Capability
from inset_client.testkit.problems import FakeProblem

_EVERY_CAPABILITY = get_args(Capability)
_LONGEST = 600


@dataclass(frozen=True)
class Registered:
    """The one host application that the fake knows."""

    issuer: str
    key_id: str
    key: str
    """What verifies: the shared secret, or the PEM of the public key."""
    algorithm: str
    audience: str


@dataclass(frozen=True)
class Caller:
    """Whom a call is for."""

    user: str
    may: frozenset[str]
    backend: bool
    claims: dict[str, Any]

    def require(self, capability: str) -> None:
        """Raise `not-allowed` unless the caller may do this."""
        if capability not in self.may and not self.backend:
            raise FakeProblem(
                403, "not-allowed", "Not allowed for this user", f"Needs `{capability}`.", needs=capability
            )

    def require_backend(self) -> None:
        """Raise `backend-only` unless the host's own backend calls."""
        if not self.backend:
            raise FakeProblem(403, "backend-only", "For the host's backend only", "Send a token with `sub` = `iss`.")


def read_caller(host: Registered, authorization: str, revoked: Mapping[str, float]) -> Caller:
    """Say whose token this is. Raises the service's problems."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _refused("missing", "Token missing")
    try:
        header, said = jwt.get_unverified_header(token), jwt.get_unverified_claims(token)
    except JOSEError as exc:
        raise _refused("malformed", "Token is not a JWT") from exc
    if said.get("iss") != host.issuer or header.get("kid") != host.key_id:
        raise _refused("unknown-issuer", "Unknown issuer or key")
    if header.get("alg") != host.algorithm:
        raise _refused("algorithm", "Wrong algorithm")
    return _caller(host, _verified(host, token), revoked)


def _verified(host: Registered, token: str) -> dict[str, Any]:
    try:
        claims = jwt.decode(token, host.key, algorithms=[host.algorithm], options={"verify_aud": False})
    except ExpiredSignatureError as exc:
        raise _refused("expired", "Token expired") from exc
    except JOSEError as exc:
        raise _refused("signature", "Wrong signature") from exc
    audience = claims.get("aud")
    if not isinstance(claims.get("exp"), int | float) or not claims.get("sub") or not audience:
        raise _refused("claims", "Claims missing")
    if claims["exp"] > time.time() + _LONGEST + 30:
        raise _refused("lifetime", "Token lives too long")
    if host.audience not in ([audience] if isinstance(audience, str) else audience):
        raise _refused("audience", "Wrong audience")
    return claims


def _caller(host: Registered, claims: dict[str, Any], revoked: Mapping[str, float]) -> Caller:
    backend = claims["sub"] == host.issuer
    if backend != ("act_for" in claims) or not set(claims.get("may", ())) <= set(_EVERY_CAPABILITY):
        raise _refused("claims", "Claims missing")
    user = str(claims["act_for"] if backend else claims["sub"])
    if not backend and math.floor(claims.get("iat", 0)) <= math.floor(revoked.get(user, -1)):
        raise _refused("revoked", "Token revoked")
    return Caller(user, frozenset(claims.get("may", _EVERY_CAPABILITY)), backend, claims)


def _refused(what: str, title: str) -> FakeProblem:
    return FakeProblem(401, f"token-{what}", title, "The token is not accepted.")
