"""Creating calls that are sent again: the same `Idempotency-Key` gets the same answer, and makes nothing twice."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import HELD, upsert
from inset.errors import KeyReused
from inset.models import IdempotencyKey

Answer = TypeVar("Answer", bound=BaseModel)


class Once:
    """One caller's request to one route, with the key it carries, if any."""

    def __init__(self, db: AsyncSession, caller: str, *, route: str, key: str | None) -> None:
        self._db = db
        self._caller = caller
        self._route = route
        self._key = key

    async def run(self, request: object, make: Callable[[], Awaitable[Answer]], answer: type[Answer]) -> Answer:
        """Do it, unless it was done before: then give the answer of that time. Raises `KeyReused`.

        `request` is what must be equal for two requests to be one.
        """
        if self._key is None:
            return await make()
        fingerprint = hashlib.sha256(repr(request).encode("utf-8", "backslashreplace")).hexdigest()
        known = await self._claimed(fingerprint)
        if known.answer:
            if known.fingerprint != fingerprint:
                raise KeyReused
            return answer.model_validate(known.answer)
        made = await make()
        # In the transaction of what it guards: both are there, or neither.
        known.fingerprint, known.answer = fingerprint, made.model_dump(mode="json")
        return made

    async def _claimed(self, fingerprint: str) -> IdempotencyKey:
        """Write the key's row before anything is done, or wait for who has: the same call at the same moment.

        Without an answer it was of a call that failed after it had kept something, as a conflicting save does.
        """
        named = {"caller": self._caller, "route": self._route, "key": self._key}
        claim = upsert(self._db, IdempotencyKey).values(**named, fingerprint=fingerprint, answer={}, created_at=now())
        await self._db.exec(claim.on_conflict_do_nothing())
        return await self._db.get_one(IdempotencyKey, named, with_for_update=HELD)
