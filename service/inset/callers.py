"""Who is calling: a host application's user, shown by a JWT that the host signed."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from sqlalchemy import Text, and_, bindparam, cast, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.db import Database, ask
from inset.engines.prepared import Prepared
from inset.errors import NotAllowed, TokenClaims, TokenIssuer, TokenRevoked
from inset.jwks import JwksCache
from inset.models import Capability, Host, HostKey, Limits, Revocation
from inset.models.capabilities import read
from inset.models.data_policy import stricter, within
from inset.settings import DataPolicy
from inset.tokens import Claims, Named, TokenReader, User

__all__ = ["Caller", "CallerReader", "User"]


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


class CallerReader:
    """Verifies hosts' JWTs."""

    def __init__(
        self, jwks: JwksCache, *, audience: str, max_lifetime: timedelta, skew: timedelta, data_policy: DataPolicy
    ) -> None:
        self._jwks = jwks
        self._tokens = TokenReader(audience=audience, max_lifetime=max_lifetime, skew=skew)
        self._skew = skew
        self._data_policy = data_policy

    async def read(self, asked: AsyncSession | Database, token: str) -> Caller:
        """Say whose token this is, as a transaction sees it or the database by itself.

        Raises one of the `Unauthenticated` problems, or `KeysUnavailable`.
        """
        named = self._tokens.named(token)
        host, revoked_at = await _registration(asked, named)
        claims = self._tokens.verified(token, await self._key(asked, host, named.kid))
        policy = stricter(self._data_policy, host.data_policy)
        caller = Caller(
            host_id=host.id,
            user=_user(claims),
            origins=host.origins,
            may=within(policy, host.may.intersection(claims.may)),
            data_policy=policy,
            backend=claims.sub == claims.iss,
            limits=host.limits,
            profiles=host.profiles,
            until=datetime.fromtimestamp(claims.exp, UTC) + self._skew,
        )
        if not caller.backend:
            _check_not_revoked(revoked_at, signed_at=claims.iat)
        return caller

    async def _key(self, asked: AsyncSession | Database, host: "_Registration", kid: str) -> HostKey:
        key = host.keys.get(kid)
        if key is None and host.jwks_url:
            if isinstance(asked, AsyncSession):
                await asked.commit()  # to ask the host application may take seconds, and needs no connection
            key = await self._jwks.find(host.id, host.jwks_url, kid)
        if key is None:
            raise TokenIssuer
        return key


@dataclass(frozen=True)
class _Registration:
    """A host application, as its row says it."""

    id: str
    origins: tuple[str, ...]
    keys: Mapping[str, HostKey]
    """By their names."""
    jwks_url: str | None
    limits: Limits
    may: frozenset[Capability]
    profiles: tuple[str, ...]
    data_policy: DataPolicy


_REGISTRATION = Prepared(
    select(
        col(Host.id),
        # As the text that is stored: what is in it is read once, not with every request.
        *(cast(column, Text) for column in (Host.origins, Host.keys, Host.limits, Host.profiles)),
        col(Host.jwks_url),
        col(Host.may),
        col(Host.data_policy),
        col(Revocation.revoked_at),
    )
    .join(
        Revocation,
        and_(col(Revocation.host_id) == Host.id, col(Revocation.user) == bindparam("user")),
        isouter=True,
    )
    .where(col(Host.id) == bindparam("issuer"))
)
"""Asked with every request, and so built once."""


async def _registration(asked: AsyncSession | Database, named: Named) -> tuple[_Registration, datetime | None]:
    """Find a host application, and when it revoked the user that the token claims, whom nobody has believed yet."""
    given = {"issuer": named.issuer, "user": named.user}
    found = await (
        asked.ask_alone(_REGISTRATION, **given) if isinstance(asked, Database) else ask(asked, _REGISTRATION, **given)
    )
    if not found:
        raise TokenIssuer
    *row, revoked_at = found[0]
    return _read(*row), revoked_at


@lru_cache(maxsize=1000)
def _read(
    id: str,
    origins: str,
    keys: str,
    limits: str,
    profiles: str,
    jwks_url: str | None,
    may: str,
    data_policy: DataPolicy,
) -> _Registration:
    """Read what a row says. One that says the same is not read again, one that has changed is."""
    known = [HostKey.model_validate(key) for key in reversed(json.loads(keys))]
    return _Registration(
        id=id,
        origins=tuple(json.loads(origins)),
        keys={key.kid: key for key in known},  # of two with one name the first
        jwks_url=jwks_url,
        limits=Limits.model_validate_json(limits),
        may=frozenset(read(may)),
        profiles=tuple(json.loads(profiles)),
        data_policy=data_policy,
    )


def _check_not_revoked(revoked_at: datetime | None, *, signed_at: float) -> None:
    # Hosts sign in whole seconds, so that what was signed in the second of the revocation counts as before it.
    if revoked_at and math.floor(signed_at) <= math.floor(revoked_at.timestamp()):
        raise TokenRevoked


def _user(claims: Claims) -> str:
    if claims.sub == claims.iss:
        if claims.act_for is None:
            raise TokenClaims("A host's own token (`sub` = `iss`) must name the user it acts for in `act_for`.")
        return claims.act_for
    if claims.act_for is not None:
        raise TokenClaims("Only a host's own token (`sub` = `iss`) may have `act_for`.")
    return claims.sub
