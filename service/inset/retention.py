"""What a notebook's history keeps, and what the store gives up for good, by commands that run beside live saves.

Each transaction is small and holds the notebook's row as `versions.store` does, so that what is decided on is what is
so. A save that is based on a version which went meanwhile is stored all the same: as one with an old base.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, or_
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.audit import record
from inset.clock import now
from inset.db import Database
from inset.models import BURIED, OVER, BlobUse, Notebook, Server, ServerState, Session, SessionEvent, Version
from inset.store.bodies import DAMAGED
from inset.store.garbage import drop_versions, remove_versions

_BATCH_VERSIONS = 100
_BATCH_BYTES = 16 * 1024 * 1024
"""What one transaction removes at the most, but for a version that is larger: others wait for it."""


@dataclass(frozen=True)
class Policy:
    """How autosaves are thinned; all other versions stay."""

    by_minute_after: timedelta
    """When a minute has been over for so long, its newest autosave stays."""

    by_day_after: timedelta
    """When a day (UTC) has been over for so long, its newest autosave stays."""


@dataclass(frozen=True)
class Facts:
    """What the policy has to know of a version."""

    number: int
    parent: int | None
    origin: str
    label: str | None
    aside: str | None
    created_at: datetime
    size: int


@dataclass
class Removed:
    """What was removed, or would be."""

    notebooks: set[str] = field(default_factory=set)
    versions: int = 0
    bytes: int = 0
    left: list[tuple[str, int]] = field(default_factory=list)
    """Notebook and number of versions that should have gone, and are, or are needed by, what is damaged."""

    def count(self, notebook_id: str, versions: Collection[Facts]) -> None:
        """Add some versions of a notebook."""
        self.notebooks.add(notebook_id)
        self.versions += len(versions)
        self.bytes += sum(version.size for version in versions)


def thinned(
    versions: Sequence[Facts], *, current: int, bases: Collection[int], policy: Policy, time: datetime
) -> list[Facts]:
    """Choose what may go, oldest first. `bases` are the versions that live sessions' next saves are based on."""
    kept = {1, current, *bases, *_merge_bases(versions)}
    newest: dict[tuple[str | None, datetime], Facts] = {}
    for version in _autosaves(versions, kept):
        bucket = _bucket(version.created_at, policy, time)
        if bucket:
            # What was beside the notebook's line does not stand for what was on it.
            place = version.aside, bucket
            if place not in newest or version.number > newest[place].number:
                newest[place] = version
    stay = {version.number for version in newest.values()}
    return sorted(
        (
            version
            for version in _autosaves(versions, kept)
            if version.number not in stay and _bucket(version.created_at, policy, time)
        ),
        key=lambda version: version.number,
    )


async def thin_versions(
    database: Database, policy: Policy, *, dry_run: bool = False, told: Callable[[str], None] = lambda _: None
) -> Removed:
    """Thin every notebook's autosaves. `told` hears how far it is."""
    removed = Removed()
    async with database.transaction(read_only=True) as db:
        old = (col(Version.origin) == "autosave", col(Version.created_at) < now() - policy.by_minute_after)
        several = select(Version.notebook_id).where(*old).group_by(Version.notebook_id).having(func.count() > 1)
        notebook_ids = (await db.exec(several)).all()
    for count, notebook_id in enumerate(notebook_ids, start=1):
        async with database.transaction(read_only=True) as db:
            going = await _going(db, notebook_id, policy)
        if dry_run and going:
            removed.count(notebook_id, going)
        elif going:
            await _thin(database, notebook_id, policy, removed)
        told(f"{count:,} of {len(notebook_ids):,} notebooks, {removed.versions:,} versions")
    return removed


async def purge_notebooks(
    database: Database,
    *,
    undelete_for: timedelta,
    dry_run: bool = False,
    told: Callable[[str], None] = lambda _: None,
) -> Removed:
    """Remove the notebooks for good that were deleted so long ago, with all that refers to them, damaged or not."""
    removed = Removed()
    async with database.transaction(read_only=True) as db:
        using = select(Session.id).where(Session.notebook_id == Notebook.id, col(Session.state).not_in(OVER)).exists()
        due = select(Notebook.id).where(col(Notebook.deleted_at) < now() - undelete_for, ~using)
        notebook_ids = (await db.exec(due)).all()
    for count, notebook_id in enumerate(notebook_ids, start=1):
        async for versions in _purge(database, notebook_id, undelete_for, dry_run=dry_run):
            removed.count(notebook_id, versions)
        told(f"{count:,} of {len(notebook_ids):,} notebooks, {removed.versions:,} versions")
    return removed


async def _thin(database: Database, notebook_id: str, policy: Policy, removed: Removed) -> None:
    left: set[int] = set()
    at_once = _BATCH_VERSIONS
    while True:
        going: list[Facts] = []
        try:
            async with database.transaction() as db:
                wanted = await _going(db, notebook_id, policy, lock=True)
                going = _batch([version for version in wanted if version.number not in left], at_once)
                await remove_versions(db, notebook_id, [version.number for version in going])
        except DAMAGED:
            if len(going) > 1:
                at_once = 1  # to see which it is
            else:
                left.update(version.number for version in going)
                removed.left += [(notebook_id, version.number) for version in going]
            continue
        if not going:
            return
        removed.count(notebook_id, going)


def _autosaves(versions: Iterable[Facts], kept: Collection[int]) -> Iterable[Facts]:
    for version in versions:
        meant = version.origin != "autosave" or version.label is not None or version.aside == "open"
        if not meant and version.number not in kept:
            yield version


def _merge_bases(versions: Sequence[Facts]) -> Iterable[int]:
    """Find what a merge of each open side needs: its ancestors, up to the one on the notebook's line."""
    by_number = {version.number: version for version in versions}
    for side in versions:
        version: Facts | None = side if side.aside == "open" else None
        while version and version.aside and version.parent:
            yield version.parent
            version = by_number.get(version.parent)


def _bucket(created_at: datetime, policy: Policy, time: datetime) -> datetime | None:
    """Say with which others a version is thinned, by the end of its day or minute; None while it is too young."""
    day = created_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    if day <= time - policy.by_day_after:
        return day
    minute = created_at.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    return minute if minute <= time - policy.by_minute_after else None


def _batch(going: Sequence[Facts], at_once: int = _BATCH_VERSIONS) -> list[Facts]:
    batch: list[Facts] = []
    for version in going[:at_once]:
        if batch and sum(one.size for one in batch) + version.size > _BATCH_BYTES:
            break
        batch.append(version)
    return batch


async def _going(db: AsyncSession, notebook_id: str, policy: Policy, *, lock: bool = False) -> list[Facts]:
    wanted = select(Notebook.current).where(Notebook.id == notebook_id)
    current = (await db.exec(wanted.with_for_update() if lock else wanted)).one_or_none()
    if current is None:
        return []
    # A server sends what it owes until it has stopped, also for a session that failed because the server died.
    up = select(Server.id).where(Server.id == Session.server_id, Server.state != ServerState.STOPPED).exists()
    saving = or_(col(Session.state).not_in(OVER), up)
    live = select(Session.version).where(Session.notebook_id == notebook_id, saving)
    bases = {base for base in (await db.exec(live)).all() if base is not None}
    return thinned(await _facts(db, notebook_id), current=current, bases=bases, policy=policy, time=now())


async def _facts(db: AsyncSession, notebook_id: str) -> list[Facts]:
    # Without the ORM: histories are long, and the row is held meanwhile.
    columns = [col(getattr(Version, one.name)) for one in fields(Facts)]
    rows = await db.exec(select(*columns).where(Version.notebook_id == notebook_id).order_by(col(Version.number)))
    return [Facts(*row) for row in rows]


async def _purge(
    database: Database, notebook_id: str, undelete_for: timedelta, *, dry_run: bool
) -> AsyncIterator[list[Facts]]:
    gone = False
    while not gone:
        async with database.transaction(read_only=dry_run) as db:
            notebook = await db.get(Notebook, notebook_id, with_for_update=not dry_run)
            if notebook is None or notebook.deleted_at is None or notebook.deleted_at > now() - undelete_for:
                return  # brought back, or purged, meanwhile
            versions = await _facts(db, notebook_id)
            # Newest first: what is left needs none of them.
            batch = versions if dry_run else _batch(versions[::-1])
            gone = len(batch) == len(versions)
            if not dry_run:
                # Whatever another replica's clock and settings say of what was deleted when.
                notebook.deleted_at = BURIED
                await db.flush()
                await drop_versions(db, notebook_id, [version.number for version in batch])
                if gone:
                    await _remove_rest(db, notebook)
        yield batch


async def _remove_rest(db: AsyncSession, notebook: Notebook) -> None:
    record(db, "notebook.purged", host_id=notebook.host_id, user=notebook.owner, notebook_id=notebook.id)
    sessions = select(Session.id).where(Session.notebook_id == notebook.id)
    await db.exec(delete(SessionEvent).where(col(SessionEvent.session_id).in_(sessions)))
    await db.exec(delete(Session).where(col(Session.notebook_id) == notebook.id))
    await db.exec(delete(BlobUse).where(col(BlobUse.notebook_id) == notebook.id))
    await db.delete(notebook)
