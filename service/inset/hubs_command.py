"""`inset hubs`: which hubs there are, and letting one run empty."""

import argparse
import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
from pydantic import TypeAdapter, ValidationError
from sqlmodel import select

from inset.clock import now
from inset.db import Database, open_database
from inset.draining import drain, drains, resume
from inset.errors import Upstream
from inset.hubs import Hub, Hubs
from inset.models import Drain, Server, ServerState
from inset.readiness import look_at_hubs
from inset.schema import require_upgraded
from inset.servers import AHEAD, end_ahead
from inset.settings import Duration, Settings


def add_hubs_command(parser: argparse.ArgumentParser) -> None:
    """Add `inset hubs` and its commands."""
    parser.set_defaults(run=lambda _: asyncio.run(_list(Settings())))
    commands = parser.add_subparsers(metavar="COMMAND")
    draining = commands.add_parser("drain", help="have one take no new servers; what runs there goes on")
    draining.add_argument("name")
    when = draining.add_mutually_exclusive_group()
    when.add_argument(
        "--end-by", type=_duration, metavar="DURATION", help="save and end what is still there then, as 3600 or PT1H"
    )
    when.add_argument(
        "--now", dest="end_by", action="store_const", const=timedelta(0), help="save and end what is there now"
    )
    draining.set_defaults(run=lambda given: asyncio.run(_drain(Settings(), given.name, end_by=given.end_by)))
    emptying = commands.add_parser("empty-pool", help="end what was started ahead, to have it started anew")
    emptying.set_defaults(run=lambda _: asyncio.run(_empty_pool(Settings())))
    resuming = commands.add_parser("resume", help="have one take new servers again")
    resuming.add_argument("name")
    resuming.set_defaults(run=lambda given: asyncio.run(_resume(Settings(), given.name)))


async def _list(settings: Settings) -> None:
    await require_upgraded(settings.database_url)
    async with open_database(settings.database_url) as database, httpx.AsyncClient() as http:
        hubs = Hubs(settings.every_hub, http)
        async with database.transaction(read_only=True) as db:
            drained = await drains(db)
            seated = select(Server.hub, Server.state).where(Server.state != ServerState.STOPPED)
            rows = (await db.exec(seated)).all()
            taken = Counter(hub for hub, _ in rows)
            ahead = Counter(hub for hub, state in rows if state in AHEAD)
        reasons, versions = await asyncio.gather(look_at_hubs(hubs), asyncio.gather(*map(_version, hubs)))
        for hub, version in zip(hubs, versions, strict=True):
            used, seats = taken.pop(hub.name, 0), hub.settings.seats
            print(
                hub.name,
                _state(drained.get(hub.name)),
                f"{used} seats taken, {max(seats - used, 0)} free",
                *([f"{ahead[hub.name]} ahead"] if ahead else []),
                reasons[hub.name] or "reachable",
                f"JupyterHub {version}" if version else "version unknown",
                sep="\t",
            )
        for name, used in taken.items():
            print(name, "not in the settings", f"{used} seats taken: its servers can't be reached", sep="\t")


async def _drain(settings: Settings, name: str, *, end_by: timedelta | None) -> None:
    end_at = None if end_by is None else now() + end_by
    async with _of(settings, name) as database, database.transaction() as db:
        await drain(db, name, end_at=end_at)
    ending = "" if end_at is None else f"; what is there on {end_at:%Y-%m-%d at %H:%M:%S} UTC is saved and ended"
    print(f"{name} takes no new servers{ending}")


async def _resume(settings: Settings, name: str) -> None:
    async with _of(settings, name) as database, database.transaction() as db:
        changed = await resume(db, name)
    print(f"{name} takes new servers {'again' if changed else 'already'}")


async def _empty_pool(settings: Settings) -> None:
    await require_upgraded(settings.database_url)
    async with open_database(settings.database_url) as database, database.transaction() as db:
        ended = await end_ahead(db)
    print(f"{ended} servers that nobody has are ended")


@contextlib.asynccontextmanager
async def _of(settings: Settings, name: str) -> AsyncIterator[Database]:
    """Open the database for a change of one hub's. Raises `LookupError` if there is no hub of this name."""
    if name not in settings.every_hub:
        raise LookupError(f"no hub is called {name!r}: there are {', '.join(settings.every_hub)}")
    await require_upgraded(settings.database_url)
    async with open_database(settings.database_url) as database:
        yield database


async def _version(hub: Hub) -> str | None:
    try:
        return await hub.client.version()
    except Upstream:
        return None


def _state(drained: Drain | None) -> str:
    if drained is None:
        return "open"
    return "drained" if drained.end_at is None else f"drained, emptied by {drained.end_at:%Y-%m-%d %H:%M:%S} UTC"


def _duration(text: str) -> timedelta:
    """Read a time span of an option. Raises `ValueError`."""
    try:
        span: timedelta = TypeAdapter(Duration).validate_python(text)
    except ValidationError as exc:
        raise ValueError(text) from exc
    return span
