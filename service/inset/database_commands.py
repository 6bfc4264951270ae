"""`inset db …`: what an operator does with the database."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from inset.checking import check_database
from inset.db import Database, open_database
from inset.encryption import Encryption, MasterKeys, encryption_of
from inset.progress import Progress
from inset.schema import require_upgraded, upgrade
from inset.settings import Settings
from inset.store.encrypting import encrypt_store, rewrap_keys, rotate_data_key
from inset.store.garbage import remove_unused_blobs
from inset.store.packing import pack
from inset.store.sealing import require_keys
from inset.transfer import export_database, import_database


def add_database_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands below `inset db`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("upgrade", help="bring it to the newest schema, creating it where there is none")
    up.set_defaults(run=lambda _: upgrade(Settings().database_url))
    check = commands.add_parser("check", help="read all of it, and tell what is damaged; exit code 1 if anything is")
    check.set_defaults(run=lambda _: asyncio.run(_check(Settings())))
    export = commands.add_parser("export", help="write all of it to one file, the hosts' secrets included")
    export.add_argument("file", type=Path)
    export.add_argument("--overwrite", action="store_true", help="replace the file if there is one")
    export.set_defaults(run=lambda given: asyncio.run(_export(Settings(), given.file, overwrite=given.overwrite)))
    read = commands.add_parser("import", help="read an exported file into an empty database, of SQLite or PostgreSQL")
    read.add_argument("file", type=Path)
    read.set_defaults(run=lambda given: asyncio.run(_import(Settings(), given.file)))
    encrypt = commands.add_parser("encrypt", help="encrypt all of it with its hosts' keys of today, beside live saves")
    encrypt.set_defaults(run=lambda _: asyncio.run(_encrypt(Settings(), writing=True)))
    decrypt = commands.add_parser("decrypt", help="decrypt all of it, once every replica has INSET_ENCRYPT=0")
    decrypt.set_defaults(run=lambda _: asyncio.run(_encrypt(Settings(), writing=False)))
    new_key = commands.add_parser("new-key", help="encrypt what a host application stores from now on with a new key")
    new_key.add_argument("host")
    new_key.set_defaults(run=lambda given: asyncio.run(_new_key(Settings(), given.host)))
    rewrap = commands.add_parser("rewrap", help="wrap every key by the newest master key")
    rewrap.set_defaults(run=lambda _: asyncio.run(_rewrap(Settings())))
    smaller = commands.add_parser("pack", help="make it smaller, beside live saves; it may be stopped any time")
    smaller.set_defaults(run=lambda _: asyncio.run(_pack(Settings())))


async def _check(settings: Settings) -> int:
    await require_upgraded(settings.database_url)
    progress, wrong = Progress(), 0
    async with open_database(settings.database_url, None, encryption=encryption_of(settings)) as database:
        async for finding in check_database(database, told=progress.told):
            wrong += 1
            print(finding)
    progress.done()
    print(f"{wrong} findings" if wrong else "All is as it should be.")
    return 1 if wrong else 0


async def _export(settings: Settings, file: Path, *, overwrite: bool) -> None:
    await require_upgraded(settings.database_url)
    progress = Progress()
    async with open_database(settings.database_url, None) as database:
        await export_database(database, file, overwrite=overwrite, told=progress.told)
    progress.done()
    print(f"wrote {file}, which holds the hosts' secrets: keep it as you keep those")


async def _import(settings: Settings, file: Path) -> None:
    await require_upgraded(settings.database_url)
    progress = Progress()
    async with open_database(settings.database_url, None) as database:
        await import_database(database, file, told=progress.told)
    progress.done()
    print(f"read {file}")


async def _pack(settings: Settings) -> None:
    await require_upgraded(settings.database_url)
    progress = Progress()
    async with open_database(settings.database_url, encryption=encryption_of(settings)) as database:
        await require_keys(database)
        packed = await pack(database, progress.told)
        blobs, size = await remove_unused_blobs(database)
    progress.done()
    print(f"packed {packed.bodies} bodies and {packed.blobs} blobs: {packed.before} bytes are {packed.after} now")
    print(f"removed {blobs} blobs that nothing needs any more: {size} bytes")


@asynccontextmanager
async def _unlocked(settings: Settings, *, writing: bool = True) -> AsyncIterator[Database]:
    """Open a database whose keys can all be opened. Raises `ValueError`."""
    if settings.master_key_file is None:
        raise ValueError("INSET_MASTER_KEY_FILE is not set: `inset keygen --master FILE` makes such a file")
    await require_upgraded(settings.database_url)
    keys = Encryption(MasterKeys(settings.master_key_file), writing=writing)
    async with open_database(settings.database_url, None, encryption=keys) as database:
        await require_keys(database)
        yield database


async def _encrypt(settings: Settings, *, writing: bool) -> int:
    progress, verb = Progress(), "encrypted" if writing else "decrypted"
    if writing and not settings.encrypt:
        raise ValueError("INSET_ENCRYPT is off: what is stored from now on would not be encrypted")
    if settings.encrypt and not writing:
        raise ValueError("set INSET_ENCRYPT=0 first, here and at every replica: they would go on encrypting")
    async with _unlocked(settings, writing=writing) as database:
        done = await encrypt_store(database, progress.told)
        await database.forget_replaced()
    progress.done()
    print(f"{verb} {done.bodies} bodies and {done.blobs} blobs, and removed {done.keys_removed} keys")
    if done.unreadable:
        print(f"{done.unreadable} could not be read, and are as they were: `inset db check` names them")
    if done.keys_left:
        print(f"{done.keys_left} retired keys are still needed: run this again")
    return 1 if done.unreadable or done.keys_left else 0


async def _new_key(settings: Settings, host_id: str) -> None:
    async with _unlocked(settings) as database:
        await rotate_data_key(database, host_id)
    print(f"{host_id} has a new key. Run `inset db encrypt` to rewrite what is under the old one.")


async def _rewrap(settings: Settings) -> None:
    async with _unlocked(settings) as database:
        changed = await rewrap_keys(database)
    print(f"wrapped {changed} keys anew; once this says 0, nothing needs older master keys")
