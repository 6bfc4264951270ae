"""The steps that a session takes by itself. Any replica may take one, and take it again after it was cut off."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.acting import Acting, acting_as
from inset.clock import now
from inset.db import HELD, Database
from inset.errors import HubBusy, HubUnavailable, ServerGone, Upstream, VersionConflict
from inset.events import tell
from inset.hub import HubServer, SpawnFailed
from inset.hubs import Hubs
from inset.lifecycle import AT_ONCE, bury, end, fail, move, report_progress
from inset.metrics import Way
from inset.models import (
    HUB_SILENT,
    PULLING_IMAGE,
    STARTING,
    STARTING_SERVER,
    WAITING,
    Host,
    Server,
    ServerState,
    Session,
    SessionState,
)
from inset.models.capabilities import read
from inset.notebook_server import DiskFull
from inset.queue import Queue
from inset.servers import SERVING, ServerDialler, frame_note, has_own_origin
from inset.sessions import load_session, save_session

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_RETRY_SECONDS = 1.0
_SILENT_SECONDS = 3.0
"""A hub that has not answered for so long may well be away: who waits is told before the call is given up."""
_AT_ONCE_SECONDS = 5.0
"""For how long a server is waited for of which the hub has not said that it is there."""
_LONG_LOAD_SECONDS = 1.0
"""Who waits for a load that takes longer is told of it before it is done."""
_LAST_SAVE_TIMEOUT = timedelta(seconds=60)


class _PlacedAnew(Exception):
    """A session's hub did not take its start on, and it waits for a place at another one."""


class Steps:
    """Takes a session from where it stands to where it waits for somebody, or is over."""

    def __init__(
        self,
        database: Database,
        hubs: Hubs,
        servers: ServerDialler,
        queue: Queue,
        *,
        start_timeout: timedelta,
        queue_timeout: timedelta,
        allow_shared_origin: bool,
    ) -> None:
        self._database = database
        self._hubs = hubs
        self._servers = servers
        self._queue = queue
        self._start_timeout = start_timeout
        self._queue_timeout = queue_timeout
        self._allow_shared_origin = allow_shared_origin

    async def drive(self, session_id: str, *, left_queue: Callable[[], None]) -> None:
        """Take step after step until the session is ready or over. `left_queue` hears when its place is its own."""
        way, asked = Way(), False
        with acting_as(Acting(session_id=session_id)) as present:
            while True:
                async with self._database.transaction(read_only=True) as db:
                    session = await db.get_one(Session, session_id)
                present.host_id, present.traceparent = session.host_id, session.traceparent
                way.reached(session.state, age=_age(session))
                match session.state:
                    case SessionState.ENDING:
                        await self._end(session)
                    case SessionState.QUEUED if session.server_id is None:
                        return
                    case SessionState.QUEUED:
                        asked = await self._leave_queue(session)
                        left_queue()
                    case SessionState.STARTING | SessionState.LOADING:
                        await self._start(session, way, asked=asked)
                    case _:
                        return

    async def _leave_queue(self, session: Session) -> bool:
        """Have the hub take on the start of a server in the seat that the session has, for as long as that may take.

        A hub that is full says so at once and is asked again every second, whatever its `Retry-After`: that is made
        for people, and few ask at a time. Where another hub has room the session goes back into the queue, whose turn
        places it there. Where another session's server runs, nothing is asked; tells whether it was.
        """
        async with self._database.transaction(read_only=True) as db:
            to_start = (await db.get_one(Server, session.server_id)).state is not ServerState.RUNNING
        try:
            if to_start and (reason := await self._taken_on(session)):
                await self._fail(session, reason)
                return True
        except _PlacedAnew:
            await self._tell(session, WAITING)
            return False
        async with self._database.transaction() as db:
            session = await db.get_one(Session, session.id, with_for_update=HELD)
            if await move(db, session, to=SessionState.STARTING, expected=[SessionState.QUEUED], started_at=now()):
                await report_progress(db, session, 10, STARTING_SERVER)
        return to_start

    async def _taken_on(self, session: Session) -> str | None:
        """Ask for a server until the hub has taken on its start; gives the reason if it did not.

        Raises `_PlacedAnew` if another hub may take it sooner.
        """
        loop = asyncio.get_running_loop()
        in_queue = session.created_at + self._queue_timeout - now()
        longest = loop.time() + max(in_queue.total_seconds(), 0)
        reason, within, answered = "hub-busy", self._start_timeout.total_seconds(), loop.time()
        try:
            async with asyncio.timeout_at(min(longest, answered + within)) as patience:
                while True:
                    try:
                        await self._ask_hub(session)
                        return None
                    except SpawnFailed as exc:
                        return exc.reason
                    except HubBusy as exc:
                        reason, told = exc.slug, WAITING
                        patience.reschedule(longest)
                        answered = loop.time()
                    except Upstream as exc:
                        reason, told = exc.slug, HUB_SILENT
                        log.warning("session %s: %s, trying again", session.id, exc.slug)
                        patience.reschedule(min(longest, answered + within))
                    if await self._queue.reconsider(session.id):
                        raise _PlacedAnew
                    await self._tell(session, told)
                    await asyncio.sleep(_RETRY_SECONDS)
        except TimeoutError:
            return reason

    async def _start(self, session: Session, way: Way, *, asked: bool) -> None:
        """Follow the start of a session's server, and load its notebook. `asked`: the hub has just taken it on."""
        left = (session.started_at or session.created_at) + self._start_timeout - now()
        reason = "start-timeout"
        try:
            async with asyncio.timeout(max(left.total_seconds(), 0)):
                while True:
                    try:
                        if session.state is SessionState.LOADING:
                            return await self._load(session)
                        return await self._follow_start(session, way, asked=asked)
                    except (SpawnFailed, DiskFull) as exc:
                        return await self._fail(session, exc.reason)
                    except Upstream as exc:
                        # Kept for the case that time runs out: it says more than "too slow".
                        reason = exc.slug
                        log.warning("session %s: %s, trying again", session.id, exc.slug)
                        if isinstance(exc, HubUnavailable):
                            await self._tell(session, HUB_SILENT)
                        # A hub that was restarted knows nothing of it any more.
                        asked = False
                        await asyncio.sleep(_RETRY_SECONDS)
        except TimeoutError:
            await self._fail(session, reason)

    async def _ask_hub(self, session: Session) -> None:
        """Ask for a session's server until the hub has taken its start on; to ask for one that runs is harmless.

        Raises `_PlacedAnew` if the seat in which it was to start has been given back meanwhile.
        """
        async with self._database.transaction(read_only=True) as db:
            server = await db.get_one(Server, session.server_id)
            origins = (await db.get_one(Host, session.host_id)).origins
        if session.state is SessionState.QUEUED and server.state not in SERVING:
            raise _PlacedAnew  # by who drives another session of this kind
        hub = self._hubs.called_for(server)
        start = partial(
            hub.start,
            server.seat,
            server_id=server.id,
            origins=origins,
            may=read(server.may),
            data_policy=server.data_policy,
            profile=server.profile,
            environment=server.environment,
        )
        while not await _told_if_late(start(), partial(self._tell, session, HUB_SILENT), after=_SILENT_SECONDS):
            # Left over from before the service knew of this seat, or not yet gone: and so may be what opened it.
            await hub.stop(server.seat)
            await hub.revoke_tokens(server.seat)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _follow_start(self, session: Session, way: Way, *, asked: bool) -> None:
        async with self._database.transaction(read_only=True) as db:
            server = await db.get_one(Server, session.server_id)
        if server.state is ServerState.RUNNING and await self._loaded_at_once(session, server, str(server.url)):
            return
        if running := await self._found_running(server):
            url = running.full_url
        else:
            if not asked:
                await self._ask_hub(session)
            url = await self._followed(session, server)
        if not url:
            await asyncio.sleep(_RETRY_SECONDS)
        elif not self._allow_shared_origin and not has_own_origin(server.seat, url):
            return await self._fail(session, "shared-origin")
        else:
            way.reached(SessionState.LOADING, age=_age(session))
            # One that has run before was asked just now, and did not take it.
            if running or not await self._loaded_at_once(session, server, url, within=None):
                await self._note_loading(session, url)

    async def _followed(self, session: Session, server: Server) -> str | None:
        """Follow a start that the hub has taken on until the server is up; gives its address, None if it has none yet.

        Raises `SpawnFailed`.
        """
        hub, url = self._hubs.called_for(server), None
        told = None
        async for step in hub.progress(server.seat):
            if step.outcome == "failed":
                raise SpawnFailed(step.reason)
            if step.outcome is None:
                news = PULLING_IMAGE if step.pulling else STARTING_SERVER, 10 + step.percent * 6 // 10
                if news != told:
                    told, (doing, percent) = news, news
                    await self._tell(session, doing, percent=percent)
            url = step.full_url
        if url:
            return url
        running = await hub.server(server.seat)
        if running is None or running.server_id != server.id:
            raise SpawnFailed("spawn-failed")
        return running.full_url if running.ready else None

    async def _found_running(self, server: Server) -> HubServer | None:
        """Look whether a server that another session has started is still there."""
        if server.state is not ServerState.RUNNING:
            return None
        running = await self._hubs.called_for(server).server(server.seat)
        return running if running and running.ready and running.server_id == server.id else None

    async def _loaded_at_once(
        self, session: Session, server: Server, url: str, *, within: float | None = _AT_ONCE_SECONDS
    ) -> bool:
        """Load the notebook into a server that is up, and note then all that has happened: a commit in place of three.

        Its bridge knows that it is this server, and no other in the seat. Tells whether it has taken the notebook:
        where it has not, the hub is to say what is there. One that is away is waited for, since frames need it.
        """
        shared = not self._allow_shared_origin and not has_own_origin(server.seat, url)
        if shared or self._hubs.called_for(server).away or await self._still_ending_elsewhere(session):
            return False
        try:
            async with self._database.transaction() as db:
                session = await db.get_one(Session, session.id)
                async with asyncio.timeout(within):
                    loading = load_session(db, self._servers, session, by_hub=False, up_at=url)
                    note = partial(self._note_loading, session, url)
                    await _told_if_late(loading, note, after=_LONG_LOAD_SECONDS)
                await _begin_loading(db, session, url)
                await _make_ready(db, session, bridged=True)
        except DiskFull:
            raise
        except (ServerGone, TimeoutError):
            return False
        return True

    async def _load(self, session: Session) -> None:
        while await self._still_ending_elsewhere(session):
            await asyncio.sleep(_RETRY_SECONDS / 4)
        async with self._database.transaction() as db:
            session = await db.get_one(Session, session.id)
            await _make_ready(db, session, bridged=await load_session(db, self._servers, session))

    async def _end(self, session: Session) -> None:
        """Save a session's document a last time, lock its frames out, let its server go if nobody else uses it."""
        left = (session.ending_at or now()) + _LAST_SAVE_TIMEOUT - now()
        # A page that is asked for its edits has to get in to hand them over.
        last = [self._saved_last, self._locked_out]
        if session.ending_reason in AT_ONCE:
            last.reverse()
        try:
            async with asyncio.timeout(max(left.total_seconds(), 0)):
                for done in last if session.ready_at else []:
                    while not await done(session):
                        await asyncio.sleep(_RETRY_SECONDS)
        except TimeoutError:
            log.error("session %s: its last save could not be fetched, or its tokens not be deleted", session.id)
        async with self._database.transaction() as db:
            await end(db, await db.get_one(Session, session.id))

    async def _saved_last(self, session: Session) -> bool:
        try:
            async with self._database.transaction() as db:
                session = await db.get_one(Session, session.id)
                server = await db.get_one(Server, session.server_id)
                await save_session(db, self._servers, session, "stop")
        except ServerGone:
            # Gone for good, or only for a moment? The hub knows.
            if not await self._is_down(server):
                return False
            async with self._database.transaction() as db:
                await bury(db, await db.get_one(Server, server.id))
            return True
        except VersionConflict:
            return True  # kept on the side, and told
        except Upstream:
            return False
        return True

    async def _locked_out(self, session: Session) -> bool:
        """Have the hub forget what opened the server for this session's frames."""
        async with self._database.transaction(read_only=True) as db:
            server = await db.get_one(Server, session.server_id)
        try:
            await self._hubs.called_for(server).revoke_tokens(server.seat, note=frame_note(session.id))
        except Upstream:
            return False
        return True

    async def _is_down(self, server: Server) -> bool:
        try:
            running = await self._hubs.called_for(server).server(server.seat)
        except Upstream:
            return False
        return running is None or running.server_id != server.id

    async def _still_ending_elsewhere(self, session: Session) -> bool:
        """Tell whether a save may still come from where the notebook was open before."""
        ending = select(Session.id).where(
            Session.notebook_id == session.notebook_id, col(Session.state) == SessionState.ENDING
        )
        recovering = (
            select(Session.id)
            .join(Server, col(Server.id) == Session.server_id)
            .where(
                Session.notebook_id == session.notebook_id,
                col(Server.died_at).is_not(None),
                col(Server.state) != ServerState.STOPPED,
            )
        )
        async with self._database.transaction(read_only=True) as db:
            return (await db.exec(ending)).first() is not None or (await db.exec(recovering)).first() is not None

    async def _tell(self, session: Session, message: str, *, percent: int = 0) -> None:
        """Say what a session waits for, unless it has gone on meanwhile. It stays as far as it was, at least."""
        async with self._database.transaction() as db:
            current = await db.get_one(Session, session.id, with_for_update=HELD)
            if current.state is session.state:
                await report_progress(db, current, max(percent, current.percent), message)

    async def _note_loading(self, session: Session, url: str) -> None:
        async with self._database.transaction() as db:
            session = await db.get_one(Session, session.id, with_for_update=HELD)
            await _begin_loading(db, session, url)

    async def _fail(self, session: Session, reason: str) -> None:
        async with self._database.transaction() as db:
            session = await db.get_one(Session, session.id)
            # One that was closed meanwhile ends; it has not failed.
            if session.state in STARTING:
                await fail(db, session, reason)


async def _told_if_late(answer: Awaitable[Answer], tell: Callable[[], Awaitable[None]], *, after: float) -> Answer:
    """Wait for an answer, and tell of it if that takes so many seconds."""

    async def wait() -> None:
        await asyncio.sleep(after)
        await tell()

    late = asyncio.create_task(wait())
    late.add_done_callback(lambda late: late.cancelled() or late.exception())  # the database tells of itself
    try:
        return await answer
    finally:
        late.cancel()


async def _begin_loading(db: AsyncSession, session: Session, url: str) -> None:
    """Note that a session's server is up, and where."""
    if await move(db, session, to=SessionState.LOADING, expected=[SessionState.STARTING]):
        await report_progress(db, session, 80, "Loading the notebook")
    server = await db.get_one(Server, session.server_id)
    if server.state is not ServerState.STARTING:
        return
    await db.refresh(server, with_for_update=HELD)
    if server.state is ServerState.STARTING:
        server.state, server.url = ServerState.RUNNING, url


async def _make_ready(db: AsyncSession, session: Session, *, bridged: bool) -> None:
    ready = {"embeddable": bridged, "ready_at": now()}
    if await move(db, session, to=SessionState.READY, expected=[SessionState.LOADING], **ready):
        await report_progress(db, session, 100, "Ready")
        tell(db, session.id, "ready", embeddable=bridged, version=session.version)


def _age(session: Session) -> float:
    return (now() - session.created_at).total_seconds()
