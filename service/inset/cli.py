"""The `inset` command."""

import argparse
import asyncio
import contextlib
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ByteSize, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from inset.acting import Acting, acting_as
from inset.audit_command import add_audit_command
from inset.database_commands import add_database_commands
from inset.db import Database, open_database
from inset.doctor import Doctor
from inset.doctor.egress.options import add_egress_options, outside_of
from inset.doctor.report import written
from inset.encryption import encryption_of, write_master_key
from inset.errors import Problem, Upstream
from inset.hosts import add_key, apply_hosts, list_hosts, remove_host, retire_key
from inset.hubs import Hubs
from inset.hubs_command import add_hubs_command
from inset.importing import import_fastapi, uncollected
from inset.logs import install_logs
from inset.models import Algorithm
from inset.models.capabilities import read
from inset.pool import require_profiles
from inset.profiles import read_profiles
from inset.progress import Progress
from inset.retention import Policy, Removed, purge_notebooks, thin_versions
from inset.schema import require_upgraded
from inset.servers import has_own_origin
from inset.settings import Settings
from inset.signing import Signer
from inset.store.sealing import require_keys
from inset.sweeping import sweep
from inset.users import revoke_user
from inset.webhook_commands import add_webhook_commands

_ISOLATION_SECONDS = 5


def main(arguments: list[str] | None = None) -> int:
    """Run one command; what goes wrong with a setting or a file is one clear line and exit code 2."""
    parser = argparse.ArgumentParser(prog="inset", description="Live Jupyter notebooks in your web application.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serving = commands.add_parser("serve", help="run the service on an upgraded database")
    serving.set_defaults(run=lambda _: _serve(Settings()))

    add_database_commands(commands.add_parser("db", help="care for the database"))

    registry = commands.add_parser("hosts", help="register host applications")
    hosts = registry.add_subparsers(required=True, metavar="COMMAND")
    apply = hosts.add_parser("apply", help="register those of a TOML file, or bring them to what it says")
    apply.add_argument("file", type=Path)
    apply.set_defaults(run=lambda given: asyncio.run(_apply_hosts(Settings(), given.file)))

    rotate = hosts.add_parser("rotate", help="add a key beside those one has, and later retire the old one")
    rotate.add_argument("id")
    which = rotate.add_mutually_exclusive_group(required=True)
    which.add_argument("--kid", help="add a key of this name; a secret is made here, and printed this once")
    which.add_argument("--retire", metavar="KID", help="refuse what is signed with this key from now on")
    rotate.add_argument("--alg", choices=get_args(Algorithm), default="HS256", help="of the new key (default: HS256)")
    rotate.add_argument("--key-file", type=Path, metavar="PEM", help="the new public key, for RS256 and ES256")
    rotate.set_defaults(run=lambda given: asyncio.run(_rotate_key(Settings(), given)))
    listing = hosts.add_parser("list", help="name them, with their origins, keys, capabilities and limits")
    listing.set_defaults(run=lambda _: asyncio.run(_list_hosts(Settings())))
    remove = hosts.add_parser("remove", help="turn one away: its tokens at once, its running sessions saved and ended")
    remove.add_argument("id")
    remove.set_defaults(run=lambda given: asyncio.run(_remove_host(Settings(), given.id)))

    people = commands.add_parser("users", help="turn users away")
    users = people.add_subparsers(required=True, metavar="COMMAND")
    revoke = users.add_parser("revoke", help="refuse a user's tokens signed until now, save and end his sessions")
    revoke.add_argument("host")
    revoke.add_argument("user")
    revoke.set_defaults(run=lambda given: asyncio.run(_revoke_user(Settings(), given.host, given.user)))

    history = commands.add_parser("versions", help="care for the notebooks' histories")
    versions = history.add_subparsers(required=True, metavar="COMMAND")
    thin = versions.add_parser("thin", help="remove all but one autosave a minute, later all but one a day")
    thin.add_argument("--dry-run", action="store_true", help="remove nothing, and say what would be")
    thin.set_defaults(run=lambda given: asyncio.run(_thin_versions(Settings(), dry_run=given.dry_run)))

    stored = commands.add_parser("notebooks", help="care for the stored notebooks")
    notebooks = stored.add_subparsers(required=True, metavar="COMMAND")
    purge = notebooks.add_parser("purge", help="remove for good what was deleted too long ago to be brought back")
    purge.add_argument("--dry-run", action="store_true", help="remove nothing, and say what would be")
    purge.set_defaults(run=lambda given: asyncio.run(_purge_notebooks(Settings(), dry_run=given.dry_run)))

    keygen = commands.add_parser("keygen", help="write a new signing key to a file that must not exist yet")
    keygen.add_argument("file", type=Path)
    keygen.add_argument(
        "--master", action="store_true", help="a master key for encryption at rest, before those a file has already"
    )
    keygen.set_defaults(run=lambda given: write_master_key(given.file) if given.master else _keygen(given.file))

    openapi = commands.add_parser("openapi", help="print the API's description")
    openapi.set_defaults(run=lambda _: _openapi())

    add_audit_command(commands.add_parser("audit", help="print who did what, as JSON lines, oldest first"))

    add_hubs_command(commands.add_parser("hubs", help="list the hubs, drain one, let it take new servers again"))

    add_webhook_commands(commands.add_parser("webhooks", help="look after what host applications are told"))

    sweeping = commands.add_parser("sweep", help="find what belongs to nobody, at the hub and here, and remove it")
    sweeping.add_argument("--dry-run", action="store_true", help="change nothing, and say what there is")
    sweeping.set_defaults(run=lambda given: asyncio.run(_sweep(Settings(), dry_run=given.dry_run)))

    doctor = commands.add_parser("doctor", help="find out what is wrong, and what helps")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_egress_options(doctor)
    doctor.set_defaults(run=lambda given: asyncio.run(_doctor(Settings(), given)))

    given = parser.parse_args(arguments)
    try:
        with acting_as(Acting(actor="operator")):
            code: int = given.run(given) or 0
    except ValidationError as exc:
        for error in exc.errors():
            print(f"inset: {'.'.join(map(str, error['loc'])) or exc.title}: {error['msg']}", file=sys.stderr)
        return 2
    except (LookupError, OSError, Problem, SQLAlchemyError, ValueError) as exc:
        print(f"inset: {str(exc).splitlines()[0]}", file=sys.stderr)
        return 2
    return code


def _serve(settings: Settings) -> None:
    # Before anything listens: what is wrong with these is one line here, and a traceback in there.
    Signer(settings.signing_key_file.read_bytes())
    trusted = httpx.create_ssl_context()  # which takes 20 ms, and so is made once
    require_profiles(read_profiles(settings.profiles_file, idle_timeout=settings.idle_timeout), settings.pool)
    asyncio.run(require_upgraded(settings.database_url))
    asyncio.run(_require_keys(settings))
    asyncio.run(_require_isolation(settings, trusted))
    install_logs(settings.log_format, settings.log_level)
    with uncollected():
        import_fastapi()
        from inset.serving import serve  # here: FastAPI and the routes are half of all imports, and no other command's

    serve(settings, trusted)


async def _require_keys(settings: Settings) -> None:
    async with open_database(settings.database_url, encryption=encryption_of(settings)) as database:
        await require_keys(database)


async def _require_isolation(settings: Settings, trusted: ssl.SSLContext) -> None:
    """Raise `ValueError` if seats share an origin. While the hub is away, each session's start looks for itself."""
    if settings.allow_shared_origin:
        return
    async with httpx.AsyncClient(verify=trusted) as http:
        for hub in Hubs(settings.every_hub, http):
            seat = hub.seats[0]
            with contextlib.suppress(Upstream, TimeoutError):
                async with asyncio.timeout(_ISOLATION_SECONDS):
                    url = await hub.client.public_url(seat)
                if url and not has_own_origin(seat, url):
                    raise ValueError(
                        "the seats share one origin, where each user's notebook can read the others': "
                        "set INSET_ISOLATION=on at the hub, or INSET_ALLOW_SHARED_ORIGIN=1 here if you know better"
                    )


async def _doctor(settings: Settings, given: argparse.Namespace) -> int:
    async with (
        open_database(settings.database_url, encryption=encryption_of(settings)) as database,
        httpx.AsyncClient(timeout=5) as http,
    ):
        if given.egress:
            from inset.doctor.egress.examination import examine as examine_egress  # here: websockets with it

            findings = await examine_egress(settings, database, host_id=given.host, outside=outside_of(given))
        else:
            findings = await Doctor(settings, database, http).examine()
    if given.json:
        print(json.dumps([finding.model_dump() for finding in findings], indent=2, ensure_ascii=False))
    else:
        print(written(findings, colour=sys.stdout.isatty()))
    # What was not tried is not proved.
    bad = ("error", "skipped") if given.egress else ("error",)
    return 1 if any(finding.level in bad for finding in findings) else 0


async def _sweep(settings: Settings, *, dry_run: bool) -> int:
    left = 0
    async with (
        open_database(settings.database_url, encryption=encryption_of(settings)) as database,
        httpx.AsyncClient() as http,
    ):
        async for orphan in sweep(database, Hubs(settings.every_hub, http), dry_run=dry_run):
            left += not orphan.done
            print(orphan if dry_run else f"{orphan}: {'swept' if orphan.done else 'left, for it is in use by now'}")
    print(f"{left} are left" if left else "Nothing is left that belongs to nobody.")
    return 1 if left else 0


async def _apply_hosts(settings: Settings, file: Path) -> None:
    async with open_database(settings.database_url, encryption=encryption_of(settings)) as database:
        plain = bool(settings.webhooks.networks)
        for name in await apply_hosts(database, file, signing_key_file=settings.signing_key_file, plain_webhooks=plain):
            print(f"registered {name}")


async def _list_hosts(settings: Settings) -> None:
    async with open_database(settings.database_url) as database:
        for host in await list_hosts(database):
            keys = [f"{key['kid']} ({key['alg']})" for key in host.keys]
            keys += [f"those at {host.jwks_url}"] if host.jwks_url else []
            limits = [f"{name} {limit}" for name, limit in host.limits.items() if limit is not None]
            print(
                host.id,
                " ".join(host.origins),
                ", ".join(keys) or "no key: turned away",
                "may " + (", ".join(read(host.may)) or "only look"),
                "at most " + ", ".join(limits) if limits else "no limits",
                sep="\t",
            )


async def _rotate_key(settings: Settings, given: argparse.Namespace) -> None:
    async with open_database(settings.database_url) as database:
        if given.retire is not None:
            await retire_key(database, given.id, given.retire)
            print(f"retired {given.retire}")
            return
        secret = await add_key(database, given.id, kid=given.kid, alg=given.alg, key_file=given.key_file)
        print(secret if secret else f"added {given.kid}")


async def _remove_host(settings: Settings, id: str) -> None:
    async with open_database(settings.database_url) as database:
        await remove_host(database, id)
        print(f"turned away {id}")


async def _revoke_user(settings: Settings, host: str, user: str) -> None:
    async with open_database(settings.database_url) as database, database.transaction() as db:
        revoked = await revoke_user(db, host, user)
    print(f"revoked {user}: {revoked.sessions_ended} sessions are being saved and ended")


async def _thin_versions(settings: Settings, *, dry_run: bool) -> int:
    policy = Policy(by_minute_after=settings.autosaves_by_minute_after, by_day_after=settings.autosaves_by_day_after)
    progress = Progress()
    async with _ready_database(settings) as database:
        removed = await thin_versions(database, policy, dry_run=dry_run, told=progress.told)
    progress.done()
    for notebook_id, number in removed.left:
        print(f"notebook {notebook_id}, version {number} was left: it, or one that stands on it, is damaged")
    _tell(removed, dry_run=dry_run)
    return 1 if removed.left else 0


async def _purge_notebooks(settings: Settings, *, dry_run: bool) -> None:
    progress = Progress()
    async with _ready_database(settings) as database:
        removed = await purge_notebooks(
            database, undelete_for=settings.undelete_for, dry_run=dry_run, told=progress.told
        )
    progress.done()
    _tell(removed, dry_run=dry_run)


@contextlib.asynccontextmanager
async def _ready_database(settings: Settings) -> AsyncIterator[Database]:
    """Open a database at the newest schema whose keys can all be opened. Raises `ValueError`."""
    await require_upgraded(settings.database_url)
    async with open_database(settings.database_url, encryption=encryption_of(settings)) as database:
        await require_keys(database)
        yield database


def _tell(removed: Removed, *, dry_run: bool) -> None:
    verb = "would remove" if dry_run else "removed"
    print(f"{verb} {removed.versions} versions of {len(removed.notebooks)} notebooks, {removed.bytes} bytes")


def _keygen(file: Path) -> None:
    pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as private:
        private.write(pem)


def _openapi() -> None:
    from inset.app import create_app  # here, as in `_serve`

    # The description depends on no setting, so any that are complete will do.
    settings = Settings.model_construct(public_url="http://localhost", notebook_limit=ByteSize(0))
    print(json.dumps(create_app(settings).openapi(), indent=2, ensure_ascii=False, sort_keys=True))
