"""What save bridges ask of the service: each acts for one server, and so for that server's user."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from urllib.parse import quote

from pydantic import BaseModel
from sqlalchemy import bindparam, or_, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.acting import acting
from inset.audit import record
from inset.calls import CallKeys
from inset.cells import Cut
from inset.clock import now
from inset.db import ask, recent_documents, table, write
from inset.documents import Document
from inset.engines.prepared import Prepared
from inset.errors import (
    HubBusy,
    HubUnavailable,
    NotAllowed,
    NotebookNotFound,
    NotebookTooLarge,
    SessionOver,
    TicketForAnotherServer,
    TicketUsed,
    UnknownServer,
    Upstream,
)
from inset.events import tell
from inset.hub import HubClient
from inset.hubs import Hubs
from inset.models import (
    NAME_LENGTH,
    OVER,
    Host,
    Limits,
    Notebook,
    Origin,
    Server,
    ServerState,
    Session,
    SessionState,
    UsedTicket,
)
from inset.models.capabilities import read
from inset.notebooks import create_notebook
from inset.receipts import Receipts
from inset.servers import frame_note
from inset.sessions import tell_stored
from inset.signing import Signer
from inset.versions import Stored, get_version, hold, holding, store

_HUB_PATIENCE = 20.0
"""Seconds for which a frame waits for a hub that is away or busy. Its bridge waits for 30, the page for its turn 25."""
_RETRY_SECONDS = 1.0

# Asked with every autosave, and so built once.
_SAVED = holding(
    col(Notebook.id) == bindparam("id"),
    col(Notebook.host_id) == bindparam("host_id"),
    col(Notebook.owner) == bindparam("owner"),
)
_LIMITS = Prepared(select(Host.limits).where(col(Host.id) == bindparam("id")))
_OPEN_SESSIONS = Prepared(
    select(Session.id).where(
        Session.notebook_id == bindparam("notebook_id"),
        Session.server_id == bindparam("server_id"),
        col(Session.state).not_in(bindparam("over", expanding=True)),
    )
)
_SHOWS = Prepared(update(table(Session)).where(table(Session).c.id == bindparam("session")))


class Credential(BaseModel):
    """What a bridge shows with every further call."""

    access_token: str
    expires_in: int
    call_key: str
    """The key with which the service signs its own calls to this server; nobody else's are open by it."""


class Entry(BaseModel):
    """What a frame's ticket is exchanged for. The hub token stays in the bridge's process."""

    hub_token: str
    expires_in: int
    session_id: str
    notebook_id: str
    next: str


async def credential_for(
    db: AsyncSession, hubs: Hubs, signer: Signer, keys: CallKeys, *, server_id: str, hub_token: str, lifetime: timedelta
) -> Credential:
    """Give a bridge its credential, if its hub says that its token is the one of the server in this seat.

    Asked is the hub at which the server is, and no other: a token is shown to nobody who has not made it. Raises
    `UnknownServer`.
    """
    server = await calling_server(db, server_id)
    await db.commit()
    seat = await hubs.called_for(server).seat_of(hub_token)
    await db.refresh(server)
    if server.seat != seat or server.state is ServerState.STOPPED:
        raise UnknownServer
    token = signer.credential(server_id=server.id, lifetime=lifetime)
    return Credential(access_token=token, expires_in=int(lifetime.total_seconds()), call_key=keys.of(server.id))


class Bridge:
    """The save bridge of one server that has not stopped."""

    def __init__(self, db: AsyncSession, server: Server, receipts: Receipts) -> None:
        self._db = db
        self._server = server
        self._receipts = receipts

    async def redeem(self, token: str, hubs: Hubs, signer: Signer, *, lifetime: timedelta) -> Entry:
        """Exchange a frame's ticket, once, for a hub token that opens this server and nothing else.

        Raises `TicketExpired`, `TicketInvalid`, `TicketForAnotherServer`, `TicketUsed` or `SessionOver`, and
        `HubUnavailable` or `HubBusy` if the hub stays so.
        """
        ticket = signer.read_ticket(token)
        if ticket.server_id != self._server.id:
            # Not consumed: at the right server it is still good.
            raise TicketForAnotherServer
        session = await self._db.get(Session, ticket.session_id)
        if session is None or session.state is not SessionState.READY or self._server.url is None:
            raise SessionOver(session.state if session else "ended")
        acting().session_id = session.id
        record(
            self._db, "session.entered", host_id=session.host_id, user=session.owner, notebook_id=session.notebook_id,
            session_id=session.id,
        )  # fmt: skip
        await self._consume(ticket.jti, ticket.expires_at)
        note, hub = frame_note(session.id), hubs.called_for(self._server)
        hub_token = await _minted(hub, self._server.seat, lifetime=lifetime, note=note)
        await self._db.refresh(session)
        if session.state is not SessionState.READY:
            # It ended meanwhile, and its tokens may have been deleted before this one was there.
            await hub.revoke_tokens(self._server.seat, note=note)
            raise SessionOver(session.state)
        base = self._server.url.split("/", 3)[3]
        page = "notebooks" if ticket.interface == "notebook" else f"lab/workspaces/{session.id}/tree"
        return Entry(
            hub_token=hub_token,
            expires_in=int(lifetime.total_seconds()),
            session_id=session.id,
            notebook_id=session.notebook_id,
            next=f"/{base}{page}/{quote(str(session.path))}",
        )

    async def worked(self, ago: timedelta) -> None:
        """Note when somebody last worked in this server. It never goes back: a report may come late."""
        at = now() - ago
        older = or_(col(Server.active_at).is_(None), col(Server.active_at) < at)
        await self._db.exec(update(Server).where(col(Server.id) == self._server.id, older).values(active_at=at))

    def known(self, notebook_id: str) -> Cut | None:
        """Give what is known of a notebook's cells without a look into the database; nothing, if it is not his."""
        return recent_documents(self._db).known(notebook_id, (str(self._server.host_id), self._server.owner))

    async def save(
        self, notebook_id: str, document: Document, *, base: int, origin: Origin, unanswered: Sequence[str] = ()
    ) -> tuple[Stored, str]:
        """Store what Jupyter saved, and sign its receipt.

        Raises `VersionConflict`, having kept and told it, if `base` is not current. Raises `NotAllowed` too, and
        `NotebookTooLarge` beyond the host application's own limit.
        """
        server = self._server
        held = await hold(self._db, _SAVED, id=notebook_id, host_id=server.host_id, owner=server.owner)
        if held is None:
            raise NotebookNotFound
        if origin == "stop" and not self._may_edit:
            # Left behind and not refused, for a session must be able to end.
            current = await get_version(self._db, held.id, held.current)
            return Stored(current, created=False), self._receipts.sign(held, current)
        await self._check(document)
        stored = await store(
            self._db, held, document, base=base, origin=origin, author=server.owner, unanswered=unanswered
        )
        sessions = await ask(self._db, _OPEN_SESSIONS, notebook_id=notebook_id, server_id=server.id, over=OVER)
        if stored.created and not sessions and (last := await self._last_session(notebook_id)):
            # What a dead server had still owed. Nobody follows it, and the host is told of it all the same.
            tell_stored(self._db, last.id, stored)
        for (session_id,) in sessions:
            await write(self._db, _SHOWS, {"session": session_id, "version": stored.version.number})
            acting().session_id = session_id
            if stored.created:
                tell_stored(self._db, session_id, stored)
        if stored.conflict:
            await self._db.commit()  # what was sent is kept, although the answer is a problem
            raise stored.conflict
        return stored, self._receipts.sign(held, stored.version)

    async def receipt(self, notebook_id: str, number: int) -> str:
        """Sign the receipt of a version."""
        return self._receipts.sign(await self._find(notebook_id), await get_version(self._db, notebook_id, number))

    async def rename(self, notebook_id: str, path: str) -> Notebook:
        """Let a notebook follow its file, which was renamed inside Jupyter. Raises `NotAllowed`."""
        notebook = await self._find(notebook_id)
        self._require_edit()
        name = _name(PurePosixPath(path).stem)
        for session in await self._sessions(notebook_id):
            session.path = path
            if name != notebook.name:
                tell(self._db, session.id, "renamed", name=name)
        if name != notebook.name:
            record(self._db, "notebook.renamed", host_id=notebook.host_id, user=notebook.owner, notebook_id=notebook.id)
        notebook.name, notebook.updated_at = name, now()
        return notebook

    async def create(self, name: str, document: Document) -> Notebook:
        """Store a notebook that was made inside Jupyter. Raises `NotAllowed` or `NotebookTooLarge`."""
        await self._check(document)
        server = self._server
        return await create_notebook(self._db, str(server.host_id), server.owner, _name(name), document, origin="save")

    @property
    def _may_edit(self) -> bool:
        return "edit" in read(self._server.may)

    def _require_edit(self) -> None:
        if not self._may_edit:
            raise NotAllowed("edit")

    async def _check(self, document: Document) -> None:
        self._require_edit()
        if self._server.host_id is None:
            raise NotAllowed("edit")  # it is nobody's yet: whose would that be?
        [(limits,)] = await ask(self._db, _LIMITS, id=self._server.host_id)
        limit = Limits.model_validate(limits).notebook_size
        if limit is not None and document.size > limit:
            raise NotebookTooLarge(limit)

    async def _find(self, notebook_id: str) -> Notebook:
        notebook = await self._db.get(Notebook, notebook_id)
        if notebook is None or (notebook.host_id, notebook.owner) != (self._server.host_id, self._server.owner):
            raise NotebookNotFound
        return notebook

    async def _sessions(self, notebook_id: str) -> list[Session]:
        wanted = select(Session).where(
            Session.notebook_id == notebook_id, Session.server_id == self._server.id, col(Session.state).not_in(OVER)
        )
        return list((await self._db.exec(wanted)).all())

    async def _last_session(self, notebook_id: str) -> Session | None:
        wanted = select(Session).where(Session.notebook_id == notebook_id, Session.server_id == self._server.id)
        return (await self._db.exec(wanted.order_by(col(Session.created_at).desc()).limit(1))).first()

    async def _consume(self, jti: str, expires_at: datetime) -> None:
        try:
            async with self._db.begin_nested():
                self._db.add(UsedTicket(jti=jti, expires_at=expires_at))
        except IntegrityError as exc:
            raise TicketUsed from exc
        # Spent before anything is handed out for it.
        await self._db.commit()


async def calling_server(db: AsyncSession, server_id: str) -> Server:
    """Find the server that a credential was given to. Raises `UnknownServer` if it has stopped."""
    server = await db.get(Server, server_id)
    if server is None or server.state is ServerState.STOPPED:
        raise UnknownServer
    return server


def _name(stem: str) -> str:
    # A file's name is the user's, and must not make a save fail: what a notebook's name can't hold is left out.
    printable = "".join(char for char in stem if char.isprintable()).strip()
    return printable[:NAME_LENGTH] or "Untitled"


async def _minted(hub: HubClient, seat: str, *, lifetime: timedelta, note: str) -> str:
    """Have a frame's token made; a hub that is away for a moment is waited for, since the ticket is spent already."""
    told: Upstream = HubUnavailable()
    try:
        async with asyncio.timeout(_HUB_PATIENCE):
            while True:
                try:
                    return await hub.mint(seat, lifetime=lifetime, note=note)
                except HubBusy as exc:
                    told = exc
                except HubUnavailable:
                    if not hub.away:
                        raise  # it has refused, and will again
                await asyncio.sleep(_RETRY_SECONDS)
    except TimeoutError:
        raise told from None
