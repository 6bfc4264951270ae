"""What can be done with one user's notebook sessions."""

import contextlib
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func
from sqlalchemy import select as select_columns
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset import paging
from inset.acting import acting
from inset.audit import record
from inset.callers import Caller
from inset.db import HELD, ask, known, table
from inset.documents import document_from_jupyter, file_name, nbformat_loaded
from inset.engines.prepared import Prepared
from inset.errors import (
    BackendOnly,
    NotEmbeddable,
    PolicyNotEnforceable,
    ServerGone,
    SessionDiffers,
    SessionLimit,
    SessionNotFound,
    SessionNotReady,
    SessionOver,
    VersionConflict,
)
from inset.events import tell, waiting
from inset.lifecycle import AT_ONCE, begin_ending
from inset.models import (
    HUB_SILENT,
    OPEN,
    OVER,
    CredentialSet,
    CredentialsHeld,
    Failure,
    Host,
    IframeUrl,
    Interface,
    Notebook,
    Progress,
    Saved,
    SavedNow,
    Server,
    Session,
    SessionCreate,
    SessionList,
    SessionPublic,
    SessionState,
    Take,
    VersionStored,
    waits_for,
)
from inset.models.capabilities import read, written
from inset.models.data_policy import stricter
from inset.notebook_server import Flushed, FlushOrigin, NotebookServer
from inset.notebooks import Notebooks
from inset.profiles import Profiles
from inset.queue import Queue
from inset.servers import ServerDialler
from inset.signing import Signer
from inset.vault import Vault
from inset.versions import Stored, get_version, read_document, store

_MINE = col(Session.host_id) == bindparam("host_id"), col(Session.owner) == bindparam("owner")
_FOUND = Prepared(select_columns(*table(Session).columns).where(*_MINE, col(Session.id) == bindparam("id")))
# Asked for again and again, and so no more is read than is shown.
_SHOWN: Select[Any] = select_columns(
    *(column for column in table(Session).columns if column.name in {*SessionPublic.model_fields, "percent", "message"})
).where(*_MINE)
_DESCRIBED = Prepared(_SHOWN.where(col(Session.id) == bindparam("id")))
_LISTED = _SHOWN.order_by(col(Session.created_at).desc(), col(Session.id).desc()).limit(bindparam("most"))
_NEWEST = Prepared(_LISTED)
"""Where a list begins that is of all; what else is wanted of one is built anew."""


class Sessions:
    """The notebook sessions of one user. Somebody else's and none at all are the same `SessionNotFound`."""

    def __init__(
        self,
        db: AsyncSession,
        caller: Caller,
        notebooks: Notebooks,
        servers: ServerDialler,
        signer: Signer,
        profiles: Profiles,
        vault: Vault,
        queue: Queue,
        *,
        behind_edge: bool,
        assets_url: str | None = None,
    ) -> None:
        self._db = db
        self._caller = caller
        self._notebooks = notebooks
        self._servers = servers
        self._signer = signer
        self._profiles = profiles
        self._vault = vault
        self._queue = queue
        self._behind_edge = behind_edge
        self._assets_url = assets_url

    async def open(self, new: SessionCreate) -> tuple[SessionPublic, bool]:
        """Open a notebook, or join the session in which it is open; tells whether it is new.

        A session in which the user may do other things than now, or under another data policy, is ended, and a new one
        waits for its last save. Nothing is asked of the hub here: a replica's driver takes the session up at once.
        Raises `SessionLimit`, `QueueFull`, `PolicyNotEnforceable`, `UnknownProfile`, `EnvironmentNotAllowed`,
        `SessionDiffers` where it is open in another way than asked for, or `BackendOnly` if a user brings credentials.
        """
        if new.credentials is not None and not self._caller.backend:
            raise BackendOnly
        notebook_id, profile = new.notebook_id, self._profiles.choose(new.profile, self._caller.profiles)
        self._profiles.check_environment(profile, new.environment)
        # Without one nothing would bind the user's own code to what is decided here.
        if self._caller.data_policy == "restricted" and not self._behind_edge:
            raise PolicyNotEnforceable
        await self._wait_for_others()
        # Held, so that nobody deletes it at this moment.
        notebook = await self._notebooks.find(notebook_id, held=True)
        open_session = await self._opened(notebook_id)
        may, policy = written(self._caller.may), self._caller.data_policy
        if open_session and (open_session.may, open_session.data_policy) == (may, policy):
            return await self._joined(open_session, new), False
        if open_session:
            await begin_ending(self._db, open_session, "policy-changed")
        await self._check_limits()
        session = Session(
            host_id=self._caller.host_id,
            owner=self._caller.user,
            notebook_id=notebook_id,
            may=may,
            data_policy=policy,
            traceparent=acting().traceparent,
            path=f"work/{notebook_id}/{file_name(notebook.name)}",
            profile=profile,
            environment=new.environment,
            environment_key=_environment_key(new.environment),
        )
        if age := self._profiles.max_age(profile, host=self._caller.limits.max_age):
            session.expires_at = session.created_at + age
        await self._queue.check(self._db, session, most=self._caller.limits.queue)
        try:
            async with self._db.begin_nested():
                self._db.add(session)
        except IntegrityError:
            # Somebody opened it in this very moment, which the database's unique index has settled.
            return await self._joined(await self._opened(notebook_id) or session, new), False
        tell(self._db, session.id, "progress", **waiting(None))
        record(
            self._db, "session.opened", host_id=session.host_id, user=session.owner, notebook_id=notebook_id,
            session_id=session.id, facts={"may": read(may), "data_policy": policy},
        )  # fmt: skip
        acting().session_id = session.id
        if new.credentials:
            await self._vault.keep(self._db, session, new.credentials)
        return self._public(session), True

    async def get(self, id: str) -> SessionPublic:
        """Describe a session."""
        return self._public(await self._row(id, _DESCRIBED))

    async def list(self, *, live: bool, cursor: str | None, limit: int) -> SessionList:
        """List the user's sessions, newest first; with `live`, only those that are not over."""
        wanted: Prepared | Select[Any] = _NEWEST
        if live or cursor:
            conditions: list[ColumnElement[bool]] = [col(Session.state).not_in(OVER)] if live else []
            if cursor:
                conditions.append(paging.older_than(cursor, Session.created_at, Session.id))
            wanted = _LISTED.where(*conditions)
        rows = await ask(self._db, wanted, host_id=self._caller.host_id, owner=self._caller.user, most=limit + 1)
        shown, next_cursor = paging.page(rows, limit, lambda row: [row.created_at.isoformat(), row.id])
        return SessionList(items=[self._public(row) for row in shown], next_cursor=next_cursor)

    async def close(self, id: str) -> SessionPublic:
        """Have a session saved and ended; one that is over or ending already stays as it is."""
        session = await self.find(id)
        await begin_ending(self._db, session, "closed")
        return self._public(session)

    async def put_credentials(self, id: str, credentials: CredentialSet) -> CredentialsHeld:
        """Let a session's kernels have these and no others from now on. Raises `SessionOver` if it ends or is over."""
        session = await self.find(id)
        # Held, so that it does not begin to end in this very moment, which forgets what it has.
        await self._db.refresh(session, with_for_update=HELD)
        if session.state not in OPEN:
            raise SessionOver(session.state)
        await self._vault.keep(self._db, session, credentials)
        return CredentialsHeld(expires_at={name: given.expires_at for name, given in credentials.items()})

    async def iframe_url(self, id: str, interface: Interface, *, lifetime: timedelta) -> IframeUrl:
        """Sign a URL that opens the session's page once.

        Raises `NotEmbeddable`, `SessionNotReady`, `SessionOver`, or to a caller who may now do less than in this
        session `NotAllowed`, and `SessionDiffers` if its data policy is looser than what holds now.
        """
        session, server = await self._ready(id)
        if session.data_policy != stricter(session.data_policy, self._caller.data_policy):
            raise SessionDiffers(session.id, profile=session.profile)
        for capability in read(session.may):
            self._caller.require(capability)
        if not session.embeddable:
            raise NotEmbeddable
        ticket, expires_at = self._signer.ticket(
            server_id=server.id, session_id=session.id, interface=interface, lifetime=lifetime
        )
        # In the fragment, which browsers keep to themselves: no log and no Referer ever holds it.
        return IframeUrl(url=f"{server.url}inset/enter#ticket={ticket}", expires_at=expires_at)

    async def save(self, id: str) -> SavedNow:
        """Bring what is in the session's server, unsaved edits of an open page included, into the database now.

        Raises `VersionConflict`, having kept it on the side, `SessionNotReady`, `SessionOver`, `ServerGone` or
        `HubUnavailable`.
        """
        session, _ = await self._ready(id)
        saved = await save_session(self._db, self._servers, session, "save")
        receipt = await self._notebooks.receipt(session.notebook_id, saved.version)
        return SavedNow(**saved.model_dump(), receipt=receipt)

    async def restore(self, notebook_id: str, number: int) -> VersionStored:
        """Make an old version current again, in a running session too, whose unsaved edits become a version first.

        Raises `VersionNotFound`; if a session is running also `ServerGone` or `HubUnavailable`.
        """
        return await self._make_current(notebook_id, number, self._notebooks.restore)

    async def resolve(self, notebook_id: str, number: int, take: Take) -> VersionStored:
        """Settle a version on the side, in a running session too, whose unsaved edits belong to it.

        Raises as `Notebooks.resolve` does; if a session is running also `ServerGone` or `HubUnavailable`.
        """
        return await self._make_current(notebook_id, number, partial(self._notebooks.resolve, take=take))

    async def find(self, id: str) -> Session:
        """Find a session's row."""
        return known(self._db, Session, (await self._row(id, _FOUND))._asdict())

    async def _row(self, id: str, wanted: Prepared) -> Any:
        found = await ask(self._db, wanted, id=id, host_id=self._caller.host_id, owner=self._caller.user)
        if not found:
            raise SessionNotFound
        acting().session_id = id
        return found[0]

    async def _make_current(
        self, notebook_id: str, number: int, append: Callable[[str, int], Awaitable[Stored]]
    ) -> VersionStored:
        await self._notebooks.version(notebook_id, number)
        session = await self._opened(notebook_id)
        running = session if session and session.state is SessionState.READY else None
        if running:
            with contextlib.suppress(VersionConflict):  # what the page had is kept on the side
                await save_session(self._db, self._servers, running, "save")
        stored = await append(notebook_id, number)
        if running:
            tell_stored(self._db, running.id, stored)
            await load_session(self._db, self._servers, running)
        number = stored.version.number
        receipt = await self._notebooks.receipt(notebook_id, number)
        return VersionStored(**(await self._notebooks.version(notebook_id, number)).model_dump(), receipt=receipt)

    async def _joined(self, session: Session, wanted: SessionCreate) -> SessionPublic:
        _check_same(session, wanted)
        if wanted.credentials is not None:
            await self.put_credentials(session.id, wanted.credentials)
        return self._public(session)

    async def _wait_for_others(self) -> None:
        """Where sessions are limited, have them opened one after the other: what is counted is then what is so."""
        limits = self._caller.limits
        if (limits.sessions, limits.sessions_per_user, limits.queue) != (None, None, None):
            host = select(Host.id).where(Host.id == self._caller.host_id)
            await self._db.exec(host.with_for_update(key_share=True))

    async def _check_limits(self) -> None:
        limits = self._caller.limits
        counted = select(func.count()).where(Session.host_id == self._caller.host_id, col(Session.state).in_(OPEN))
        users = counted.where(Session.owner == self._caller.user)
        if limits.sessions_per_user is not None and (await self._db.exec(users)).one() >= limits.sessions_per_user:
            raise SessionLimit(limits.sessions_per_user, of="user")
        if limits.sessions is not None and (await self._db.exec(counted)).one() >= limits.sessions:
            raise SessionLimit(limits.sessions, of="host")

    def _public(self, session: Any) -> SessionPublic:
        """Show a session, or its row, as its user sees it."""
        place = self._queue.place(session.id) if session.state is SessionState.QUEUED else None
        message = HUB_SILENT if place and place.silent else session.message
        waits = session.state in (SessionState.QUEUED, SessionState.STARTING)
        return SessionPublic(
            id=session.id,
            notebook_id=session.notebook_id,
            state=session.state,
            progress=Progress(percent=session.percent, message=message, waits_for=waits_for(message)),
            position=place.position if place else None,
            estimated_wait=place.estimated_wait if place else None,
            failure=Failure.model_validate(session.failure) if session.failure else None,
            ending_reason=session.ending_reason,
            may=read(session.may),
            data_policy=session.data_policy,
            profile=session.profile,
            embeddable=session.embeddable,
            version=session.version,
            created_at=session.created_at,
            ready_at=session.ready_at,
            expires_at=session.expires_at,
            ended_at=session.ended_at,
            warm_up_url=f"{self._assets_url}/warm-up" if self._assets_url and waits else None,
        )

    async def _opened(self, notebook_id: str) -> Session | None:
        wanted = select(Session).where(Session.notebook_id == notebook_id, col(Session.state).in_(OPEN))
        return (await self._db.exec(wanted)).one_or_none()

    async def _ready(self, id: str) -> tuple[Session, Server]:
        session = await self.find(id)
        if session.state in OVER:
            raise SessionOver(session.state)
        server = await self._db.get(Server, session.server_id) if session.server_id else None
        if session.state is not SessionState.READY or server is None:
            raise SessionNotReady(session.state)
        return session, server


def _environment_key(environment: Mapping[str, str]) -> str:
    if not environment:
        return ""
    return hashlib.sha256(json.dumps(environment, sort_keys=True).encode()).hexdigest()


def _check_same(session: Session, wanted: SessionCreate) -> None:
    """Raise `SessionDiffers` if what was asked for is not what is there. What was not asked for is as it is."""
    same_profile = wanted.profile in (None, session.profile)
    same_environment = _environment_key(wanted.environment) in ("", session.environment_key)
    if not (same_profile and same_environment):
        raise SessionDiffers(session.id, profile=session.profile)


async def load_session(
    db: AsyncSession, servers: ServerDialler, session: Session, *, by_hub: bool = True, up_at: str | None = None
) -> bool:
    """Put the current version into a session's server; tells whether it has a save bridge. Commits before it calls.

    Raises `ServerGone` or `DiskFull`; `by_hub` and `up_at` are as for `ServerDialler.dial`.
    """
    loaded = None
    while loaded is None or session.version != await _current(db, session):
        notebook = await db.get_one(Notebook, session.notebook_id, populate_existing=True)
        document = await read_document(db, await get_version(db, notebook.id, notebook.current))
        server, version = await db.get(Server, session.server_id), notebook.current
        origins = (await db.get_one(Host, session.host_id)).origins
        await db.commit()
        dialled = servers.dial(server, by_hub=by_hub, up_at=up_at)
        loaded = await dialled.load(
            notebook.id, path=str(session.path), version=version, document=document, origins=origins
        )
        session.path, session.version = loaded.path, version
    return loaded.bridged


async def save_session(db: AsyncSession, servers: ServerDialler, session: Session, origin: FlushOrigin) -> Saved:
    """Bring a session's document from its server into the database: through the bridge, or by reading the file.

    Commits before it calls, since the server may take seconds and its bridge writes meanwhile. Raises
    `VersionConflict`, having kept the document on the side, or `ServerGone`. Of a session without `edit` nothing is
    taken: what its file holds was not to be changed.
    """
    if origin == "save" and "edit" not in read(session.may):
        return Saved(**(await _newest(db, session)).model_dump(), created=False)
    server, path, base = await db.get(Server, session.server_id), str(session.path), session.version or 0
    await db.commit()
    dialled = servers.dial(server)
    if not session.embeddable:
        return await _save_plain(db, dialled, session, origin)
    if origin == "save":
        flushed = await dialled.flush(path, origin, base=base)
    else:
        ask_page = session.ending_reason not in AT_ONCE
        detached = await dialled.detach(session.notebook_id, base=base, ask_page=ask_page)
        flushed = detached or await _newest(db, session)
    return Saved(**flushed.model_dump(), created=flushed.version > base)


async def _save_plain(db: AsyncSession, server: NotebookServer, session: Session, origin: FlushOrigin) -> Saved:
    path = str(session.path)
    content = await server.read(path)
    if origin == "stop":
        await server.close_kernels(path)
    if content is None or "edit" not in read(session.may):
        if origin == "stop":
            return Saved(**(await _newest(db, session)).model_dump(), created=False)
        raise ServerGone
    await nbformat_loaded()
    document = document_from_jupyter(content)
    # Read again, and held: another save of this session may have stored what it is based on, or be about to.
    notebook = await db.get_one(Notebook, session.notebook_id, populate_existing=True, with_for_update=HELD)
    await db.refresh(session)
    base = session.version or notebook.current
    stored = await store(db, notebook, document, base=base, origin=origin, author=session.owner)
    session.version = stored.version.number
    if stored.created:
        tell_stored(db, session.id, stored)
    await db.commit()
    if stored.conflict:
        raise stored.conflict
    # Without the bridge nobody can ask the page: what is on the server's disk is all there is.
    return Saved(version=stored.version.number, sha256=document.sha256, flushed=False, created=stored.created)


async def _newest(db: AsyncSession, session: Session) -> Flushed:
    version = await get_version(db, session.notebook_id, await _current(db, session))
    return Flushed(version=version.number, sha256=version.sha256, flushed=True)


async def _current(db: AsyncSession, session: Session) -> int:
    return (await db.exec(select(Notebook.current).where(Notebook.id == session.notebook_id))).one()


def tell_stored(db: AsyncSession, session_id: str, stored: Stored) -> None:
    """Tell a session's followers what became of its document."""
    version = stored.version
    if stored.conflict:
        tell(db, session_id, "conflict", **stored.conflict.members)
    else:
        facts = {"sha256": version.sha256, "origin": version.origin, "author": version.author}
        tell(db, session_id, "saved", version=version.number, **facts)
