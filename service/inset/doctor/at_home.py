"""What is the service's own: database, signing key, the registry of host applications."""

import stat
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from inset.db import Database, on_postgres, open_database
from inset.doctor.addresses import is_local
from inset.doctor.findings import Finding, error, ok, skipped, warning
from inset.encryption import encryption_of
from inset.errors import DatabaseUnavailable
from inset.models import Host
from inset.models.data_policy import stricter
from inset.schema import require_upgraded
from inset.settings import Settings
from inset.signing import Signer
from inset.store.sealing import require_keys

_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
"""The settings of PostgreSQL by which a commit is on the disk when it is told."""


class Home:
    """Checks what needs nobody else."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database

    async def database(self) -> list[Finding]:
        """Is it there, and at the newest schema?"""
        try:
            await require_upgraded(self._settings.database_url)
        except ValueError:
            fix = "Run `inset db upgrade`, with the service's own INSET_DATABASE_URL."
            return [error("database-old", "The database is not at the newest schema.", fix)]
        except (SQLAlchemyError, OSError, DatabaseUnavailable):
            fix = "Check INSET_DATABASE_URL, and that the database runs and lets this machine in."
            return [error("database-unreachable", "The database does not answer.", fix)]
        return await self._as_set_up() or [ok("database", "The database answers and is at the newest schema.")]

    async def _as_set_up(self) -> list[Finding]:
        """Look at how PostgreSQL is set up. SQLite is as the service opens it."""
        async with self._database.transaction(read_only=True) as db:
            if not on_postgres(db):
                return []
            shown = [(await db.exec(text(f"SHOW {name}"))).scalar_one() for name in _DURABLE]  # type: ignore[call-overload]
            connections = int((await db.exec(text("SHOW max_connections"))).scalar_one())  # type: ignore[call-overload]
        off = [name for name, value in zip(_DURABLE, shown, strict=True) if value == "off"]
        found = [
            error(
                "database-not-durable",
                f"PostgreSQL runs with `{name} = off`: saves that were acknowledged are lost when its machine fails.",
                f"Set `{name} = on` at the server, for this database and this role.",
            )
            for name in off
        ]
        own = self._settings.database
        if own.pool_size + own.pool_overflow > connections:
            fix = "Lower INSET_DATABASE__POOL_SIZE or INSET_DATABASE__POOL_OVERFLOW, or raise `max_connections`."
            told = f"One replica may open more connections than the {connections} that PostgreSQL has for everybody."
            found.append(warning("database-connections", told, fix))
        return found

    async def master_keys(self) -> list[Finding]:
        """Do they open what the database holds, and can this account alone read them?"""
        fix = "Let INSET_MASTER_KEY_FILE name a file with the master keys that the database was encrypted with."
        try:
            used = encryption_of(self._settings)
        except (OSError, ValueError):
            return [error("master-keys-invalid", "The file of master keys cannot be used.", fix)]
        try:
            async with open_database(self._settings.database_url, encryption=used) as database:
                await require_keys(database)
        except ValueError:
            # Whose it is, the log and `inset db check` say: a host application hears of no other.
            told = "The database holds keys that no master key at hand opens: what they encrypt cannot be read."
            return [error("master-keys-missing", told, fix)]
        except (SQLAlchemyError, OSError, DatabaseUnavailable):
            return [
                skipped("master-keys", "Whether the master keys fit was not checked: the database does not answer.")
            ]
        if self._settings.master_key_file is None:
            return [ok("master-keys", "Nothing is encrypted at rest, as no master keys are set.")]
        if self._settings.master_key_file.stat().st_mode & (stat.S_IRWXO | stat.S_IRWXG):
            chmod = "Run `chmod 600` on the file that INSET_MASTER_KEY_FILE names."
            return [warning("master-keys-readable", "Others than their owner can read the master keys.", chmod)]
        return [ok("master-keys", "The master keys open everything that is encrypted.")]

    async def signing_key(self) -> list[Finding]:
        """Is it a P-256 key that this account alone can read?"""
        file = self._settings.signing_key_file
        try:
            Signer(file.read_bytes())
            mode = file.stat().st_mode
        except (OSError, ValueError, TypeError):
            fix = "Let INSET_SIGNING_KEY_FILE name the PEM of a P-256 private key; `inset keygen FILE` makes one."
            return [error("signing-key-invalid", "The signing key cannot be used.", fix)]
        fix = "Run `chmod 600` on the file that INSET_SIGNING_KEY_FILE names."
        if mode & stat.S_IRWXO:
            told = "Every account of this machine can read the signing key, and could sign its way into notebooks."
            return [error("signing-key-readable", told, fix)]
        if mode & stat.S_IRWXG:
            return [warning("signing-key-readable", "The signing key can be read by its file's whole group.", fix)]
        return [ok("signing-key", "The signing key is a P-256 key that its owner alone can read.")]

    async def hosts(self, host_id: str | None) -> list[Finding]:
        """Is anybody registered, and with origins that browsers will let embed?"""
        origins = await self.registered(host_id)
        if not origins:
            fix = "Register one with `inset hosts apply FILE`."
            return [warning("no-hosts", "No host application is registered, so nobody can embed a notebook.", fix)]
        plain = [
            error(
                "host-without-tls",
                f"The origin {origin} of {id} is plain http: its page and its tokens can be read on the way.",
                f"Serve it by https, and change `origins` of {id} in the file that `inset hosts apply` reads.",
            )
            for id, registered in origins.items()
            for origin in registered
            if origin.startswith("http:") and not is_local(urlsplit(origin).hostname)
        ]
        number = len(origins)
        return plain or [ok("hosts", f"{number} host application{'s are' if number > 1 else ' is'} registered.")]

    async def data_policy(self, host_id: str | None) -> list[Finding]:
        """Can what is restricted be kept inside, as far as it shows here? `inset doctor --egress` tries the rest."""
        async with self._database.transaction(read_only=True) as db:
            hosts = (await db.exec(select(Host).order_by("id"))).all()
        policy = self._settings.data_policy
        restricted = [
            host.id
            for host in hosts
            if host.origins and host_id in (None, host.id) and stricter(policy, host.data_policy) == "restricted"
        ]
        if not restricted:
            return [ok("data-policy", "No host application's data is restricted.")]
        named = " and ".join(restricted)
        if self._settings.edge_token is None:
            told = f"The data of {named} is restricted, and no edge is known here: its notebooks do not open."
            fix = "Put an edge in front (deploy/edge/README.md), and let INSET_EDGE_TOKEN be its secret."
            return [error("restricted-without-edge", told, fix)]
        return [ok("data-policy", f"The data of {named} is restricted; `inset doctor --egress` proves it.")]

    async def registered(self, host_id: str | None) -> dict[str, list[str]]:
        """Give the origins of every host application that may call, or of one."""
        async with self._database.transaction(read_only=True) as db:
            hosts = (await db.exec(select(Host).order_by("id"))).all()
        # One without origins was turned away.
        return {host.id: host.origins for host in hosts if host.origins and host_id in (None, host.id)}
