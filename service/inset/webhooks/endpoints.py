"""To whom webhooks go, as operators write it in the hosts file."""

import json
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.db import HELD, ask
from inset.engines.prepared import Prepared
from inset.models import Audit, EventType, SessionEvent, WebhookEndpoint
from inset.seals import Seal
from inset.webhooks.addresses import names_this_machine
from inset.webhooks.queue import fail_waiting
from inset.webhooks.signatures import key_of

PURPOSE = "inset webhook secrets"
"""For which the secrets' `Seal` is."""


class WebhookEntry(BaseModel, extra="forbid"):
    """One endpoint of a host application."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    """What it is called in lists and logs."""

    url: str = Field(max_length=2000)
    """Where its events are posted."""

    events: list[EventType] = Field(min_length=1)
    """What it is told."""

    secrets: list[Annotated[SecretStr, Field(max_length=200)]] = Field(min_length=1, max_length=2)
    """With what its events are signed. Two at once make a rotation without a gap."""

    @field_validator("url")
    @classmethod
    def _postable(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.port == 0:
            raise ValueError("write an https URL")
        if parts.username is not None or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("write a URL in ASCII, without user, password, fragment and blanks")
        return url

    @field_validator("secrets")
    @classmethod
    def _usable(cls, secrets: list[SecretStr]) -> list[SecretStr]:
        for secret in secrets:
            key_of(secret.get_secret_value())
        return secrets


async def apply_endpoints(
    db: AsyncSession, host_id: str, entries: Sequence[WebhookEntry], seal: Seal, *, plain: bool
) -> None:
    """Bring a host application's endpoints to what the file says. A new one is told what happens from now on.

    `plain` is whether http may leave this machine at all. Raises `ValueError` for an entry that can't be used.
    """
    if len({entry.name for entry in entries}) < len(entries):
        raise ValueError(f"{host_id}: two webhooks have the same name")
    for entry in entries:
        parts = urlsplit(entry.url)
        if parts.scheme == "http" and not plain and not names_this_machine(parts.hostname or ""):
            raise ValueError(
                f"{host_id}: webhook {entry.name!r}: write https; plain http leaves this machine only for a network "
                "that INSET_WEBHOOKS__NETWORKS names"
            )
    await remove_endpoints(db, host_id, keeping=[entry.name for entry in entries])
    for entry in entries:
        sealed = _seal(seal, host_id, entry)
        endpoint = await db.get(WebhookEndpoint, (host_id, entry.name), with_for_update=HELD)
        if endpoint is None:
            audit_after, events_after = await newest(db)
            endpoint = WebhookEndpoint(
                host_id=host_id,
                name=entry.name,
                url=entry.url,
                events=list(entry.events),
                sealed=sealed,
                audit_after=audit_after,
                events_after=events_after,
            )
        elif endpoint.switched_off_at and endpoint.url != entry.url:
            await switch_on(db, endpoint)
        endpoint.url, endpoint.events, endpoint.sealed = entry.url, list(entry.events), sealed
        db.add(endpoint)
    await db.flush()


async def remove_endpoints(db: AsyncSession, host_id: str, *, keeping: Sequence[str] = ()) -> None:
    """Remove a host application's endpoints; what waited for them has failed."""
    wanted = select(WebhookEndpoint).where(
        WebhookEndpoint.host_id == host_id, col(WebhookEndpoint.name).not_in(keeping)
    )
    for endpoint in (await db.exec(wanted.order_by("name").with_for_update())).all():
        await fail_waiting(db, endpoint, "endpoint-removed")
        await db.delete(endpoint)


async def list_endpoints(db: AsyncSession, host_id: str | None = None) -> Sequence[WebhookEndpoint]:
    """Give the endpoints of a host application, or of all."""
    wanted = select(WebhookEndpoint).order_by("host_id", "name")
    return (await db.exec(wanted.where(WebhookEndpoint.host_id == host_id) if host_id else wanted)).all()


async def switch_on(db: AsyncSession, endpoint: WebhookEndpoint) -> None:
    """Tell an endpoint that had been switched off what happens from now on."""
    endpoint.audit_after, endpoint.events_after = await newest(db)
    endpoint.switched_off_at = None
    db.add(endpoint)


def secrets_of(seal: Seal, endpoint: WebhookEndpoint) -> list[str]:
    """Give an endpoint's secrets. Raises `Broken`."""
    kept: list[str] = json.loads(seal.open(endpoint.sealed, place=_place(endpoint.host_id, endpoint.name)))
    return kept


_NEWEST = Prepared(
    select(
        select(func.max(Audit.id)).scalar_subquery().label("audit"),
        select(func.max(SessionEvent.id)).scalar_subquery().label("event"),
    )
)


async def newest(db: AsyncSession) -> tuple[int, int]:
    """Name the newest row of the audit log, and of the sessions' events; 0 where there is none."""
    [(audit, event)] = await ask(db, _NEWEST)
    return audit or 0, event or 0


def _seal(seal: Seal, host_id: str, entry: WebhookEntry) -> bytes:
    secrets = [secret.get_secret_value() for secret in entry.secrets]
    return seal.close(json.dumps(secrets).encode(), place=_place(host_id, entry.name))


def _place(host_id: str, name: str) -> str:
    return f"{host_id}/{name}"
