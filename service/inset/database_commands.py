"""`inset db …`: what an operator does with the database."""

import argparse
import asyncio
import sys
import time
from pathlib import Path

from inset.checking import check_database
from inset.db import open_database, require_upgraded, upgrade
from inset.settings import Settings
from inset.store.garbage import remove_unused_blobs
from inset.store.packing import pack
from inset.transfer import export_database, import_database

_TELL_SECONDS = 5.0


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
    smaller = commands.add_parser("pack", help="make it smaller, beside live saves; it may be stopped any time")
    smaller.set_defaults(run=lambda _: asyncio.run(_pack(Settings())))


async def _check(settings: Settings) -> int:
    await require_upgraded(settings.database_url)
    progress, wrong = _Progress(), 0
    async with open_database(settings.database_url, None) as database:
        async for finding in check_database(database, told=progress.told):
            wrong += 1
            print(finding)
    progress.done()
    print(f"{wrong} findings" if wrong else "All is as it should be.")
    return 1 if wrong else 0


async def _export(settings: Settings, file: Path, *, overwrite: bool) -> None:
    await require_upgraded(settings.database_url)
    progress = _Progress()
    async with open_database(settings.database_url, None) as database:
        await export_database(database, file, overwrite=overwrite, told=progress.told)
    progress.done()
    print(f"wrote {file}, which holds the hosts' secrets: keep it as you keep those")


async def _import(settings: Settings, file: Path) -> None:
    await require_upgraded(settings.database_url)
    progress = _Progress()
    async with open_database(settings.database_url, None) as database:
        await import_database(database, file, told=progress.told)
    progress.done()
    print(f"read {file}")


async def _pack(settings: Settings) -> None:
    async with open_database(settings.database_url) as database:
        packed = await pack(database, lambda line: print(line, flush=True))
        blobs, size = await remove_unused_blobs(database)
    print(f"packed {packed.bodies} bodies and {packed.blobs} blobs: {packed.before} bytes are {packed.after} now")
    print(f"removed {blobs} blobs that nothing needs any more: {size} bytes")


class _Progress:
    """Tells on stderr how far it is, once it takes long, and then every few seconds."""

    def __init__(self) -> None:
        self._last = ""
        self._told_at = time.monotonic()

    def told(self, how_far: str) -> None:
        self._last = how_far
        if time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._told_at = time.monotonic()
            print(f"  {how_far}", file=sys.stderr, flush=True)

    def done(self) -> None:
        print(f"  {self._last}", file=sys.stderr)
