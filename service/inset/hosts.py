"""The registry of host applications, as operators fill it."""

import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator, model_validator
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.audit import record
from inset.clock import now
from inset.db import HELD, Database, encryption
from inset.keys import new_secret, unfit
from inset.lifecycle import end_sessions
from inset.models import EVERY_CAPABILITY, PROFILE_NAME, Algorithm, Capability, Host, HostKey, Limits, Session
from inset.models.capabilities import written
from inset.seals import Seal
from inset.settings import DataPolicy
from inset.store.sealing import seal_store_key, writing_key
from inset.webhooks import PURPOSE, WebhookEntry, apply_endpoints, remove_endpoints

_DEFAULT_PORTS = {"http": 80, "https": 443}


class HostFile(BaseModel, extra="forbid"):
    """What `inset hosts apply FILE` reads: TOML with one `[[hosts]]` table for each host application."""

    hosts: list["HostEntry"]


class HostEntry(BaseModel, extra="forbid"):
    """One host application."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    """Its name, and the `iss` of its JWTs."""

    origins: list[str] = Field(min_length=1)
    """The exact origins of its pages, as in `https://app.example`."""

    keys: list[HostKey] = []
    """The keys that verify its JWTs. Two at once make a rotation without a gap."""

    jwks_url: str | None = None
    """Where it publishes keys as a JWK set, beside `keys` or instead of them."""

    may: list[Capability] = list(EVERY_CAPABILITY)
    """The most that its users may do in a notebook: each JWT may say less."""

    profiles: list[Annotated[str, Field(pattern=PROFILE_NAME)]] = Field(default=["default"], min_length=1)
    """The profiles that its sessions may have; the first one is theirs unless they say otherwise."""

    data_policy: DataPolicy = "open"
    """How far its data may go."""

    limits: Limits = Limits()
    """What it may use."""

    webhooks: list[WebhookEntry] = []
    """Where its back end is told of what happens."""

    @field_validator("origins")
    @classmethod
    def _exact(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or not parts.hostname
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ValueError(f"{origin!r} is not an exact origin: write scheme, host and port, and no path")
            if "*" in origin or any(char in origin for char in " ;,"):
                raise ValueError(f"{origin!r}: wildcards and lists are not origins")
            if origin != origin.lower() or parts.port == _DEFAULT_PORTS[parts.scheme]:
                raise ValueError(f"{origin!r}: browsers write origins in small letters and without their default port")
        return origins

    @field_validator("jwks_url")
    @classmethod
    def _unforgeable(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        private = parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(parts.hostname or ""))
        if not private or not parts.hostname or any(char.isspace() for char in url) or parts.port == 0:
            raise ValueError(f"{url!r}: write https; plain http only from this machine itself, as anybody could answer")
        return url

    @model_validator(mode="after")
    def _usable_keys(self) -> "HostEntry":
        if not self.keys and self.jwks_url is None:
            raise ValueError("it needs `keys` or a `jwks_url`")
        if len({key.kid for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same kid")
        for key in self.keys:
            reason = unfit(key)
            if reason:
                raise ValueError(f"key {key.kid!r}: {reason}")
        return self


def _is_this_machine(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


_ASIDE = {"updated_at"}
"""What changes when nothing else does."""


async def apply_hosts(
    database: Database, file: Path, *, signing_key_file: Path | None = None, plain_webhooks: bool = False
) -> list[str]:
    """Register the host applications of a file, or bring them to what it says; tells their names.

    Those it does not name stay as they are. The service's signing key seals what is secret of their webhooks, and is
    needed where there are any; `plain_webhooks` is whether these may leave this machine in the clear. Raises
    `ValueError` (pydantic's, tomllib's) for a file that can't be used, and `OSError` for a key that can't be read.
    """
    wanted = HostFile.model_validate(tomllib.loads(file.read_text()))
    async with database.transaction() as db:
        for entry in wanted.hosts:
            host = await db.get(Host, entry.id) or Host(id=entry.id, origins=[], keys=[])
            before = host.model_dump(exclude=_ASIDE)
            host.origins = entry.origins
            host.keys = [key.model_dump() for key in entry.keys]
            host.jwks_url = entry.jwks_url
            host.may, host.limits = written(entry.may), entry.limits.model_dump(mode="json")
            host.profiles, host.data_policy = entry.profiles, entry.data_policy
            host.updated_at = now()
            if host.model_dump(exclude=_ASIDE) != before:
                record(db, "host.registered", host_id=host.id, facts={"kids": [key.kid for key in entry.keys]})
            db.add(host)
            await db.flush()
            await _apply_webhooks(db, entry, signing_key_file, plain=plain_webhooks)
            used = encryption(db)
            if used and used.writing:
                await writing_key(db, host.id)
                await seal_store_key(db, host, used)
    return [entry.id for entry in wanted.hosts]


async def _apply_webhooks(db: AsyncSession, entry: HostEntry, signing_key_file: Path | None, *, plain: bool) -> None:
    if not entry.webhooks:
        await remove_endpoints(db, entry.id)
        return
    if signing_key_file is None:
        raise ValueError(f"{entry.id}: webhooks need the service's signing key")
    seal = Seal(signing_key_file.read_bytes(), purpose=PURPOSE)
    await apply_endpoints(db, entry.id, entry.webhooks, seal, plain=plain)


async def list_hosts(database: Database) -> list[Host]:
    """Give the registered host applications, by name."""
    async with database.transaction(read_only=True) as db:
        return list((await db.exec(select(Host).order_by("id"))).all())


async def add_key(database: Database, id: str, *, kid: str, alg: Algorithm, key_file: Path | None) -> str | None:
    """Give a host application one more key beside those it has: a public one from a PEM file, or a new secret.

    Gives the secret, which is told nowhere else. Raises `LookupError` if there is no host application of this name,
    `ValueError` for a key that can't be used, `OSError` for a file that can't be read.
    """
    if (key_file is None) != (alg == "HS256"):
        raise ValueError("HS256 makes a new secret; RS256 and ES256 take the PEM of a public key from a file")
    key = HostKey(kid=kid, alg=alg, key=key_file.read_text() if key_file else new_secret())
    reason = unfit(key)
    if reason:
        raise ValueError(f"key {kid!r}: {reason}")
    async with database.transaction() as db:
        host = await _host(db, id)
        if any(present["kid"] == kid for present in host.keys):
            raise ValueError(f"{id} has a key {kid!r} already: give the new one another name")
        host.keys, host.updated_at = [*host.keys, key.model_dump()], now()
        record(db, "host.key-added", host_id=id, facts={"kid": kid, "alg": alg})
    return None if key_file else key.key


async def retire_key(database: Database, id: str, kid: str) -> None:
    """Refuse what a host application signs with one of its keys from now on.

    Raises `LookupError` if there is no such host application or key, `ValueError` if it is the last one.
    """
    async with database.transaction() as db:
        host = await _host(db, id)
        left = [key for key in host.keys if key["kid"] != kid]
        if len(left) == len(host.keys):
            raise LookupError(f"{id} has no key {kid!r}")
        if not left and host.jwks_url is None:
            raise ValueError(f"{kid!r} is the last key of {id}: add another one first, or turn it away")
        host.keys, host.updated_at = left, now()
        record(db, "host.key-retired", host_id=id, facts={"kid": kid})


async def remove_host(database: Database, id: str) -> None:
    """Turn a host application away: its tokens and pages at once, its running sessions saved and ended.

    Its notebooks stay; registered again, it has them back. Raises `LookupError` if there is none of this name.
    """
    async with database.transaction() as db:
        host = await _host(db, id)
        host.keys, host.jwks_url, host.origins, host.updated_at = [], None, [], now()
        await remove_endpoints(db, id)
        ended = await end_sessions(db, col(Session.host_id) == id, reason="revoked")
        record(db, "host.removed", host_id=id, facts={"sessions_ended": ended})


async def _host(db: AsyncSession, id: str) -> Host:
    # Locked where databases can: of two changes of a list of keys at once, none may get lost.
    host = await db.get(Host, id, with_for_update=HELD)
    if host is None:
        raise LookupError(f"no host application is registered as {id!r}")
    return host
