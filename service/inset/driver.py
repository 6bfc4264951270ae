"""Who does what sessions and servers wait for: any replica, one at a time, by leases in the database."""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import bindparam, or_, update
from sqlmodel import col, select

from inset.clock import now
from inset.db import Database, ask
from inset.engines.prepared import Prepared
from inset.models import Session, SessionState
from inset.queue import Lease, Queue
from inset.steps import Steps

log = logging.getLogger(__name__)

_DRIVEN = or_(
    col(Session.state).in_((SessionState.STARTING, SessionState.LOADING, SessionState.ENDING)),
    # Who has no seat yet waits for the queue, however many they are.
    (col(Session.state) == SessionState.QUEUED) & col(Session.server_id).is_not(None),
)
_UNDRIVEN = select(Session.id).where(
    _DRIVEN,
    or_(
        col(Session.lease_until).is_(None),
        col(Session.lease_until) < bindparam("moment"),
        # What this replica began to start, it may have to end.
        (col(Session.lease_owner) == bindparam("replica")) & (col(Session.state) == SessionState.ENDING),
    ),
)
_WAITING = Prepared(_UNDRIVEN)
_TICK_SECONDS = 0.5
_LEASE = timedelta(seconds=15)


@dataclass(frozen=True)
class _Drive:
    task: asyncio.Task[None]
    ending: bool


class Driver:
    """This replica's share of the driving. A replica that dies is followed by another when its leases run out."""

    def __init__(self, database: Database, steps: Steps, queue: Queue) -> None:
        self._database = database
        self._steps = steps
        self._queue = queue
        self._replica = uuid4().hex
        self._woken = asyncio.Event()
        self._drives: dict[str, _Drive] = {}
        self._round_over = time.monotonic()

    @property
    def silent_for(self) -> float:
        """Seconds since a round of this replica's was last finished; one takes half a second, or a little longer."""
        return time.monotonic() - self._round_over

    def wake(self) -> None:
        """Have the database looked at now: there is something to do."""
        self._woken.set()

    async def run(self) -> None:
        """Drive for as long as the service runs."""
        try:
            while True:
                self._woken.clear()
                try:
                    await self._renew_leases()
                    for session_id in await self._queue.move_up(Lease(self._replica, now() + _LEASE)):
                        self._drive(session_id, ending=False)
                    for session_id, state in await self._claim():
                        self._drive(session_id, ending=state is SessionState.ENDING)
                    self._round_over = time.monotonic()
                except Exception:
                    # The loop outlives a database that is away for a moment; the next tick tries again.
                    log.exception("driver: this round failed")
                await self._sleep()
        finally:
            await self._stop()

    async def _claim(self) -> list[tuple[str, SessionState]]:
        """Take the lease of every session that waits for a step and that no living replica drives."""
        moment = now()
        asked = {"moment": moment, "replica": self._replica}
        async with self._database.transaction(read_only=True) as db:
            ids = [session.id for session in await ask(db, _WAITING, **asked)]
        candidates = [id for id in ids if not (id in self._drives and self._drives[id].ending)]
        if not candidates:
            return []
        async with self._database.transaction() as db:
            # What another replica is just taking, or somebody is changing, is passed over: there is the next round.
            held = _UNDRIVEN.where(col(Session.id).in_(candidates)).with_for_update(skip_locked=True, key_share=True)
            claimed = await db.exec(
                update(Session)
                .where(col(Session.id).in_(held))
                .execution_options(synchronize_session=False)
                .values(lease_owner=self._replica, lease_until=moment + _LEASE)
                .returning(col(Session.id), col(Session.state)),
                params=asked,
            )
            return [(id, state) for id, state in claimed.all()]

    async def _renew_leases(self) -> None:
        if not self._drives:
            return
        mine = select(Session.id).where(
            col(Session.id).in_(list(self._drives)), col(Session.lease_owner) == self._replica
        )
        held = mine.order_by(col(Session.id)).with_for_update(key_share=True)
        async with self._database.transaction() as db:
            renewed = await db.exec(
                update(Session)
                .where(col(Session.id).in_(held))
                .execution_options(synchronize_session=False)
                .values(lease_until=now() + _LEASE)
                .returning(col(Session.id))
            )
            kept = set(renewed.scalars().all())
        for session_id in self._drives.keys() - kept:
            # This replica was away for too long, and another has taken over.
            self._drives[session_id].task.cancel()

    def _drive(self, session_id: str, *, ending: bool) -> None:
        running = self._drives.pop(session_id, None)
        task = asyncio.create_task(self._driven(session_id, running.task if running else None))
        drive = _Drive(task, ending)
        self._drives[session_id] = drive
        task.add_done_callback(lambda _: self._done(session_id, drive))

    async def _driven(self, session_id: str, before: asyncio.Task[None] | None) -> None:
        if before:
            # The session was closed while it was starting: what it waited for no longer matters.
            before.cancel()
            await asyncio.wait([before])
        try:
            await self._steps.drive(session_id, left_queue=self.wake)
        except Exception:
            log.exception("session %s: a step failed, and will be taken again", session_id)

    def _done(self, session_id: str, drive: _Drive) -> None:
        if self._drives.get(session_id) is drive:
            del self._drives[session_id]

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(_TICK_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _stop(self) -> None:
        tasks = [drive.task for drive in self._drives.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with self._database.transaction() as db:
            # Another replica, or this one after its restart, goes on without waiting for the lease.
            await db.exec(update(Session).where(col(Session.lease_owner) == self._replica).values(lease_until=None))
