"""Who is calling: a host application's user, shown by a JWT that the host signed."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from jose import JOSEError, jwk, jws, jwt
from jose.backends.base import Key
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from sqlalchemy import and_, bindparam
from sqlmodel import col, select

from inset.clock import now
from inset.db import Database
from inset.errors import (
    NotAllowed,
    TokenAlgorithm,
    TokenAudience,
    TokenClaims,
    TokenExpired,
    TokenIssuer,
    TokenLifetime,
    TokenMalformed,
    TokenRevoked,
    TokenSignature,
)
from inset.jwks import JwksCache
from inset.models import EVERY_CAPABILITY, Capability, Host, HostKey, Limits, Revocation
from inset.models.capabilities import read
from inset.models.data_policy import stricter, within
from inset.settings import DataPolicy


@dataclass(frozen=True)
class Caller:
    """One person of one host application, calling by himself or through his host's backend."""

    host_id: str
    user: str
    origins: tuple[str, ...]
    """The host application's exact origins."""
    may: frozenset[Capability]
    """What the user may do in the notebooks that are opened for him now."""
    backend: bool
    """Whether the host's own backend calls, which is bound by nothing that the host lets its users do."""
    limits: Limits
    """What the host application may use."""
    data_policy: DataPolicy
    """How far data may go in the notebooks that are opened now."""
    profiles: tuple[str, ...]
    """The profiles that its sessions may have, its default first."""
    until: datetime
    """Until when the token counts, with the clocks' difference allowed for."""

    def require(self, capability: Capability) -> None:
        """Raise `NotAllowed` unless the caller may do this."""
        if capability not in self.may and not self.backend:
            raise NotAllowed(capability)


def _printable(user: str) -> str:
    if not user.isprintable():
        raise ValueError("must be printable")
    return user


User = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
"""A user as his host application names him: 1 to 255 printable characters."""


class _Claims(BaseModel):
    """What a host's JWT must say. Times are seconds since 1970."""

    iss: str
    aud: str | list[str]
    sub: User
    exp: float = Field(allow_inf_nan=False)
    iat: float = Field(default=0, allow_inf_nan=False)
    nbf: float = Field(default=0, allow_inf_nan=False)
    act_for: User | None = None
    may: list[Capability] = list(EVERY_CAPABILITY)


_HOST = (
    select(Host, Revocation.revoked_at)
    .join(
        Revocation,
        and_(col(Revocation.host_id) == Host.id, col(Revocation.user) == bindparam("user")),
        isouter=True,
    )
    .where(Host.id == bindparam("issuer"))
)
"""Asked with every request, and so built once."""


@lru_cache(maxsize=1000)
def _constructed(key: str, alg: str) -> Key:
    """Read a key, which takes longer than to verify with it."""
    return jwk.construct(key, alg)


class CallerReader:
    """Verifies hosts' JWTs."""

    def __init__(
        self,
        database: Database,
        jwks: JwksCache,
        *,
        audience: str,
        max_lifetime: timedelta,
        skew: timedelta,
        data_policy: DataPolicy,
    ) -> None:
        self._database = database
        self._jwks = jwks
        self._audience = audience
        self._max_lifetime = int(max_lifetime.total_seconds())
        self._skew = int(skew.total_seconds())
        self._data_policy = data_policy

    async def read(self, token: str) -> Caller:
        """Say whose token this is. Raises one of the `Unauthenticated` problems, or `KeysUnavailable`."""
        issuer, kid, alg, user = _named(token)
        host, revoked_at = await self._host(issuer, user)
        key = await self._key(host, kid)
        # Before any verification: a token does not choose how it is checked.
        if alg != key.alg:
            raise TokenAlgorithm
        claims = self._verified(token, key)
        policy = stricter(self._data_policy, host.data_policy)
        caller = Caller(
            host_id=host.id,
            user=_user(claims),
            origins=tuple(host.origins),
            may=within(policy, set(read(host.may)).intersection(claims.may)),
            data_policy=policy,
            backend=claims.sub == claims.iss,
            limits=Limits.model_validate(host.limits),
            profiles=tuple(host.profiles),
            until=datetime.fromtimestamp(claims.exp + self._skew, UTC),
        )
        if not caller.backend:
            _check_not_revoked(revoked_at, signed_at=claims.iat)
        return caller

    async def _host(self, issuer: str, user: str) -> tuple[Host, datetime | None]:
        """Find a host application, and when it revoked the user that the token claims, whom nobody has believed yet."""
        async with self._database.transaction(read_only=True) as db:
            found = (await db.exec(_HOST, params={"issuer": issuer, "user": user})).one_or_none()
        if found is None:
            raise TokenIssuer
        return found

    async def _key(self, host: Host, kid: str) -> HostKey:
        registered = next((key for key in host.keys if key["kid"] == kid), None)
        key = None if registered is None else HostKey.model_validate(registered)
        if key is None and host.jwks_url:
            key = await self._jwks.find(host.id, host.jwks_url, kid)
        if key is None:
            raise TokenIssuer
        return key

    def _verified(self, token: str, key: HostKey) -> _Claims:
        try:
            payload = jws.verify(token, _constructed(key.key, key.alg), algorithms=[key.alg])
        except JOSEError as exc:
            raise TokenSignature from exc
        try:
            claims = _Claims.model_validate_json(payload)
        except ValidationError as exc:
            raise TokenClaims(
                "The token needs `iss`, `aud`, `sub` (1 to 255 printable characters) and `exp`; "
                f"`may`, if it is there, is a list out of {', '.join(EVERY_CAPABILITY)}."
            ) from exc
        self._check_times(claims)
        if self._audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
            raise TokenAudience(self._audience)
        return claims

    def _check_times(self, claims: _Claims) -> None:
        time = now().timestamp()
        if claims.exp + self._skew <= time:
            raise TokenExpired
        if claims.exp - self._skew > time + self._max_lifetime or max(claims.nbf, claims.iat) - self._skew > time:
            raise TokenLifetime(self._max_lifetime)
        # Not one that was signed long ago for today, either: a revocation is forgotten when its tokens must be dead.
        if claims.iat and claims.exp - claims.iat > self._max_lifetime + self._skew:
            raise TokenLifetime(self._max_lifetime)


def _check_not_revoked(revoked_at: datetime | None, *, signed_at: float) -> None:
    # Hosts sign in whole seconds, so that what was signed in the second of the revocation counts as before it.
    if revoked_at and math.floor(signed_at) <= math.floor(revoked_at.timestamp()):
        raise TokenRevoked


def _named(token: str) -> tuple[str, str, object, str]:
    """Read what is needed to verify a token, from itself: `iss`, `kid`, `alg` and `sub` ("" for no name).

    All else is ignored until it is verified.
    """
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
    return issuer, kid, header.get("alg"), user if isinstance(user, str) and user.isprintable() else ""


def _user(claims: _Claims) -> str:
    if claims.sub == claims.iss:
        if claims.act_for is None:
            raise TokenClaims("A host's own token (`sub` = `iss`) must name the user it acts for in `act_for`.")
        return claims.act_for
    if claims.act_for is not None:
        raise TokenClaims("Only a host's own token (`sub` = `iss`) may have `act_for`.")
    return claims.sub
