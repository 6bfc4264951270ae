"""What can be done with one user's stored notebooks."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, func
from sqlalchemy import select as select_columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset import paging
from inset.audit import record
from inset.callers import Caller
from inset.cells import Cut
from inset.clock import now
from inset.db import ask, known, recent_documents, table
from inset.documents import Document
from inset.engines.prepared import Prepared
from inset.errors import DiffTooLarge, NotebookInUse, NotebookNotFound, NotebookTooLarge, VersionNotFound
from inset.models import (
    OVER,
    Action,
    Appended,
    Held,
    Notebook,
    NotebookDiff,
    NotebookList,
    NotebookPublic,
    NotebookStored,
    Origin,
    Session,
    Take,
    Version,
    VersionList,
    VersionPublic,
)
from inset.receipts import Receipts
from inset.sides import resolve
from inset.versions import Stored, get_version, hold, holding, read_document, store

COMPARED = 64 * 1024 * 1024
"""The most bytes that two versions may have together to be compared."""


# Asked with almost every request, and so built once.
_MINE = (
    col(Notebook.host_id) == bindparam("host_id"),
    col(Notebook.owner) == bindparam("owner"),
    col(Notebook.deleted_at).is_(None),
)
_SHOWN: Select[*tuple[Any, ...]] = select_columns(
    col(Notebook.id),
    col(Notebook.name),
    col(Notebook.created_at),
    col(Notebook.updated_at),
    col(Version.number).label("version"),
    col(Version.size),
    col(Version.sha256),
).join(Version, and_(col(Version.notebook_id) == Notebook.id, col(Version.number) == Notebook.current))
_LISTED = (
    _SHOWN.where(*_MINE).order_by(col(Notebook.created_at).desc(), col(Notebook.id).desc()).limit(bindparam("most"))
)
_NEWEST = Prepared(_LISTED)
"""Where a list begins that is of all; what else is wanted of one is built anew."""
_SHOWN_BY_ID = Prepared(_SHOWN.where(*_MINE, col(Notebook.id) == bindparam("id")))
_CONTENT = Prepared(
    select_columns(
        col(Notebook.name),
        col(Notebook.id).label("notebook_id"),
        col(Version.number),
        col(Version.sha256),
        col(Version.size),
        col(Version.valid),
    )
    .join(
        Version,
        and_(
            col(Version.notebook_id) == Notebook.id,
            col(Version.number) == func.coalesce(bindparam("number", type_=Integer), col(Notebook.current)),
        ),
        isouter=True,
    )
    .where(*_MINE, col(Notebook.id) == bindparam("id"))
)
_ROW = select_columns(*table(Notebook).columns).where(*_MINE, col(Notebook.id) == bindparam("id"))
_FOUND, _HELD = Prepared(_ROW), Prepared(_ROW.with_for_update(key_share=True))
_SAVED = holding(*_MINE, col(Notebook.id) == bindparam("id"))


@dataclass(frozen=True)
class Content:
    """A version's document, with what an HTTP answer says about it."""

    name: str
    version: int
    document: Document


class Notebooks:
    """The stored notebooks of one user. Somebody else's and none at all are the same `NotebookNotFound`."""

    def __init__(
        self, db: AsyncSession, caller: Caller, receipts: Receipts, *, limit: int, undelete_for: timedelta
    ) -> None:
        self._db = db
        self._caller = caller
        self._receipts = receipts
        self._limit = limit
        self._undelete_for = undelete_for

    async def create(self, name: str, document: Document) -> NotebookStored:
        """Store a new notebook as its version 1. Raises `NotebookTooLarge`."""
        self._check_size(document)
        notebook = await create_notebook(
            self._db, self._caller.host_id, self._caller.user, name, document, origin="api"
        )
        return await self._stored(notebook)

    async def list(self, *, query: str | None, cursor: str | None, limit: int) -> NotebookList:
        """List the user's notebooks, newest first, those whose name contains `query` (any case) if it is given."""
        wanted: Prepared | Select[Any] = _NEWEST
        if query or cursor:
            conditions = [col(Notebook.name).icontains(query, autoescape=True)] if query else []
            if cursor:
                conditions.append(paging.older_than(cursor, Notebook.created_at, Notebook.id))
            wanted = _LISTED.where(*conditions)
        rows = await ask(self._db, wanted, host_id=self._caller.host_id, owner=self._caller.user, most=limit + 1)
        shown, next_cursor = paging.page(rows, limit, lambda row: [row.created_at.isoformat(), row.id])
        return NotebookList(items=[NotebookPublic(**row._asdict()) for row in shown], next_cursor=next_cursor)

    async def get(self, id: str) -> NotebookPublic:
        """Describe a notebook."""
        return NotebookPublic(**(await self._one(_SHOWN_BY_ID, id=id))._asdict())

    async def rename(self, id: str, name: str) -> NotebookPublic:
        """Give a notebook another name."""
        notebook = await self.find(id)
        self._record("notebook.renamed", id)
        notebook.name = name
        notebook.updated_at = now()
        return await self._public(notebook)

    async def delete(self, id: str) -> None:
        """Put a notebook away; for a time it can be brought back. Raises `NotebookInUse` while it is open."""
        notebook = await self.find(id, held=True)
        using = select(Session.id).where(Session.notebook_id == id, col(Session.state).not_in(OVER))
        session_id = (await self._db.exec(using)).first()
        if session_id:
            raise NotebookInUse(session_id)
        self._record("notebook.deleted", id)
        notebook.deleted_at = now()

    async def undelete(self, id: str) -> NotebookPublic:
        """Bring a deleted notebook back; one that was not deleted stays as it is."""
        notebook = (await self._db.exec(select(Notebook).where(*self._mine(), Notebook.id == id))).one_or_none()
        if notebook is None or (notebook.deleted_at and notebook.deleted_at + self._undelete_for < now()):
            raise NotebookNotFound
        if notebook.deleted_at:
            self._record("notebook.undeleted", id)
        notebook.deleted_at = None
        return await self._public(notebook)

    async def content(self, id: str, number: int | None = None) -> Content:
        """Read a version, the current one unless it is named. Raises `VersionNotFound`."""
        version = await self._one(_CONTENT, id=id, number=number)
        if version.number is None:
            raise VersionNotFound
        return Content(version.name, version.number, await read_document(self._db, version))

    def known(self, id: str) -> Cut | None:
        """Give what is known of a notebook's cells without a look into the database; nothing, if it is not his."""
        return recent_documents(self._db).known(id, (self._caller.host_id, self._caller.user))

    async def replace(self, id: str, document: Document, *, base: int) -> NotebookStored:
        """Make a document the newest version. Raises `VersionConflict`, having kept it, if `base` is not current.

        Raises `NotebookTooLarge` too.
        """
        self._check_size(document)
        held = await hold(self._db, _SAVED, id=id, host_id=self._caller.host_id, owner=self._caller.user)
        if held is None:
            raise NotebookNotFound
        stored = await store(self._db, held, document, base=base, origin="api", author=self._caller.user)
        if stored.conflict:
            await self._db.commit()  # what was sent is kept, although the answer is a problem
            raise stored.conflict
        return self._receipted(held, stored.version)

    async def versions(self, id: str, *, cursor: str | None, limit: int) -> VersionList:
        """List a notebook's history, newest first."""
        await self.find(id)
        wanted = select(Version).where(Version.notebook_id == id)
        if cursor:
            wanted = wanted.where(Version.number < paging.number_before(cursor))
        rows = (await self._db.exec(wanted.order_by(col(Version.number).desc()).limit(limit + 1))).all()
        shown, next_cursor = paging.page(rows, limit, lambda row: [row.number])
        return VersionList(
            items=[VersionPublic.model_validate(row.model_dump()) for row in shown], next_cursor=next_cursor
        )

    async def version(self, id: str, number: int) -> VersionPublic:
        """Describe a version. Raises `VersionNotFound`."""
        await self.find(id)
        return VersionPublic.model_validate((await get_version(self._db, id, number)).model_dump())

    async def receipt(self, id: str, number: int) -> str:
        """Sign the receipt of a version, the same at any time. Raises `VersionNotFound`."""
        return self._receipts.sign(await self.find(id), await get_version(self._db, id, number))

    async def sides(self, id: str, old: int, new: int | None) -> tuple[str, Version, Version]:
        """Find two versions to compare, the current one unless `new` is named, and the notebook's name.

        Raises `VersionNotFound`.
        """
        notebook = await self.find(id)
        return (
            notebook.name,
            await get_version(self._db, id, old),
            await get_version(self._db, id, notebook.current if new is None else new),
        )

    async def diff(self, old: Version, new: Version) -> NotebookDiff:
        """Find out how one version became another. Raises `NotComparable` or `DiffTooLarge`."""
        if old.size + new.size > COMPARED:
            raise DiffTooLarge(COMPARED)
        documents = [await read_document(self._db, version) for version in (old, new)]
        await self._db.commit()  # the comparison takes its time, and needs no connection
        return await asyncio.to_thread(_compared, old, documents[0], new, documents[1])

    async def restore(self, id: str, number: int) -> Stored:
        """Append a version with an old one's content. Raises `VersionNotFound`."""
        notebook = await self.find(id, held=True)
        document = await read_document(self._db, await get_version(self._db, id, number))
        return await store(
            self._db, notebook, document, base=notebook.current, origin="restore", author=self._caller.user
        )

    async def resolve(self, id: str, number: int, take: Take) -> Stored:
        """Settle a version on the side; raises as `sides.resolve` does."""
        return await resolve(self._db, await self.find(id), number, take, author=self._caller.user, limit=self._limit)

    async def label(self, id: str, number: int, label: str | None) -> VersionPublic:
        """Have a version called something, or nothing any more. Raises `VersionNotFound`."""
        await self.find(id)
        version = await get_version(self._db, id, number)
        version.label = label
        return VersionPublic.model_validate(version.model_dump())

    async def find(self, id: str, *, held: bool = False) -> Notebook:
        """Find a notebook's row, and hold it if what follows depends on what it is now."""
        row = await self._one(_HELD if held else _FOUND, id=id)
        return known(self._db, Notebook, row._asdict())

    async def _one(self, statement: Prepared, **given: Any) -> Any:
        found = await ask(self._db, statement, host_id=self._caller.host_id, owner=self._caller.user, **given)
        if not found:
            raise NotebookNotFound
        return found[0]

    def _record(self, action: Action, id: str) -> None:
        record(self._db, action, host_id=self._caller.host_id, user=self._caller.user, notebook_id=id)

    def _check_size(self, document: Document) -> None:
        # Of what is stored: written out in lines, a document can be many times what was sent.
        if document.size > self._limit:
            raise NotebookTooLarge(self._limit)

    def _mine(self) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return col(Notebook.host_id) == self._caller.host_id, col(Notebook.owner) == self._caller.user

    async def _stored(self, notebook: Notebook) -> NotebookStored:
        return self._receipted(notebook, await get_version(self._db, notebook.id, notebook.current))

    def _receipted(self, notebook: Notebook | Held, version: Version | Appended) -> NotebookStored:
        return NotebookStored(**_described(notebook, version), receipt=self._receipts.sign(notebook, version))

    async def _public(self, notebook: Notebook) -> NotebookPublic:
        return NotebookPublic(**_described(notebook, await get_version(self._db, notebook.id, notebook.current)))


def _compared(old: Version, old_document: Document, new: Version, new_document: Document) -> NotebookDiff:
    from inset.diffs import compare  # here, in the thread: nbdime with it, which few requests need and no start

    return compare(old, old_document, new, new_document)


async def create_notebook(
    db: AsyncSession, host_id: str, owner: str, name: str, document: Document, *, origin: Origin
) -> Notebook:
    """Store a new notebook of a user, with its first version."""
    notebook = Notebook(host_id=host_id, owner=owner, name=name)
    db.add(notebook)
    await db.flush()
    await store(db, notebook, document, base=0, origin=origin, author=owner)
    return notebook


def _described(notebook: Notebook | Held, version: Version | Appended) -> dict[str, Any]:
    return {
        "id": notebook.id,
        "name": notebook.name,
        "version": version.number,
        "size": version.size,
        "sha256": version.sha256,
        "created_at": notebook.created_at,
        "updated_at": notebook.updated_at,
    }
