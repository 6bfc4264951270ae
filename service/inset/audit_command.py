"""`inset audit`: the audit log, for an operator and what he keeps logs in."""

import argparse
import asyncio
from datetime import UTC, datetime
from typing import get_args

from inset.audit import AuditFilter, export_audit
from inset.db import open_database
from inset.models import Action
from inset.schema import require_upgraded
from inset.settings import Settings


def add_audit_command(parser: argparse.ArgumentParser) -> None:
    """Add the options of `inset audit`."""
    parser.add_argument("--host", help="of one host application")
    parser.add_argument("--user", help="on what is one user's")
    parser.add_argument("--notebook", help="on one notebook")
    parser.add_argument("--session", help="in one session")
    parser.add_argument("--action", choices=get_args(Action), metavar="ACTION", help="of one kind, as notebook.saved")
    parser.add_argument("--since", type=moment, help="from this moment on, as 2026-11-27 or 2026-11-27T08:00:00Z")
    parser.add_argument("--until", type=moment, help="before this moment")
    parser.add_argument("--after", type=int, default=0, metavar="ID", help="after the last one that was exported")
    parser.set_defaults(run=lambda given: asyncio.run(_export(Settings(), given)))


async def _export(settings: Settings, given: argparse.Namespace) -> None:
    await require_upgraded(settings.database_url)
    wanted = AuditFilter(
        host_id=given.host,
        user=given.user,
        notebook_id=given.notebook,
        session_id=given.session,
        action=given.action,
        since=given.since,
        until=given.until,
    )
    async with open_database(settings.database_url) as database:
        async for act in export_audit(database, wanted, after=given.after):
            print(act.model_dump_json())


def moment(text: str) -> datetime:
    """Read a moment of an option; one without a zone is in UTC. Raises `ValueError`."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)
