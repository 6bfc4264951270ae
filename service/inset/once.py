"""Creating calls that are sent again: the same `Idempotency-Key` gets the same answer, and makes nothing twice."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, and_, delete, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import upsert
from inset.errors import KeyReused, RequestUnderWay
from inset.models import IdempotencyKey

Answer = TypeVar("Answer", bound=BaseModel)

_UNDER_WAY: dict[str, Any] = {}
"""The answer of a request that has none yet. Others see it only of what commits on its way, since it calls a server."""
_PATIENCE = timedelta(seconds=5)
_LOOKS_EVERY = 0.1
_ABANDONED_AFTER = timedelta(minutes=2)
"""When a request that has no answer yet has died with its replica: longer than any takes."""


class Once:
    """One caller's request to one route, with the key it carries, if any."""

    def __init__(self, db: AsyncSession, caller: str, *, route: str, key: str | None) -> None:
        self._db = db
        self._caller = caller
        self._route = route
        self._key = key

    async def run(self, request: object, make: Callable[[], Awaitable[Answer]], answer: type[Answer]) -> Answer:
        """Do it, unless it was done before: then give the answer of that time.

        `request` is what must be equal for two requests to be one. Of several at once, one does it and the others
        wait for its answer. Raises `KeyReused`, or `RequestUnderWay` if that takes long.
        """
        if self._key is None:
            return await make()
        fingerprint = hashlib.sha256(repr(request).encode("utf-8", "backslashreplace")).hexdigest()
        known = await self._take(fingerprint)
        if known is not None:
            return answer.model_validate(known)
        try:
            made = await make()
        except BaseException:
            # What it may have committed on its way must not keep the caller from trying again.
            await self._db.rollback()
            await self._db.exec(delete(IdempotencyKey).where(self._mine))
            await self._db.commit()
            raise
        # In the transaction of what it guards: both are there, or neither.
        await self._db.exec(update(IdempotencyKey).where(self._mine).values(answer=made.model_dump(mode="json")))
        return made

    async def _take(self, fingerprint: str) -> dict[str, Any] | None:
        """Take the key, or give the answer of the request that has it."""
        until = now() + _PATIENCE
        while not await self._insert(fingerprint):
            known = await self._db.get(IdempotencyKey, self._row, populate_existing=True)
            if known is None:
                continue  # it failed in this very moment
            if known.fingerprint != fingerprint:
                raise KeyReused
            if known.answer != _UNDER_WAY:
                return known.answer
            if known.created_at < now() - _ABANDONED_AFTER and await self._take_over(known):
                return None
            if now() > until:
                raise RequestUnderWay
            # Without the transaction, which would keep the other from writing its answer.
            await self._db.commit()
            await asyncio.sleep(_LOOKS_EVERY)
        return None

    async def _insert(self, fingerprint: str) -> bool:
        """Tell whether the key is new. PostgreSQL waits here for who is inserting it; SQLite's writers have waited."""
        caller, route, key = self._row
        row = {"caller": caller, "route": route, "key": key, "fingerprint": fingerprint, "created_at": now()}
        insert = upsert(self._db, IdempotencyKey).values(**row, answer=_UNDER_WAY).on_conflict_do_nothing()
        return bool((await self._db.exec(insert)).rowcount)

    async def _take_over(self, known: IdempotencyKey) -> bool:
        abandoned = and_(self._mine, col(IdempotencyKey.created_at) == known.created_at)
        taken = await self._db.exec(update(IdempotencyKey).where(abandoned).values(created_at=now()))
        return bool(taken.rowcount)

    @property
    def _row(self) -> tuple[str, str, str]:
        return self._caller, self._route, self._key or ""

    @property
    def _mine(self) -> ColumnElement[bool]:
        caller, route, key = self._row
        return and_(
            col(IdempotencyKey.caller) == caller, col(IdempotencyKey.route) == route, col(IdempotencyKey.key) == key
        )
