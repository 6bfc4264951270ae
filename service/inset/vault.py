"""Where data credentials lie while their sessions live: in the database, encrypted, and nowhere else.

The key is derived from the service's signing key, which every replica has and the database has not. Under another
signing key nothing opens: hosts pass theirs anew, as they do before each runs out.
"""

import json
import logging
from collections.abc import Mapping

from pydantic import TypeAdapter
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.clock import now
from inset.db import upsert
from inset.events import tell
from inset.models import OPEN, DataCredential, DataCredentialRow, Session
from inset.seals import Broken, Seal

log = logging.getLogger(__name__)

_SET = TypeAdapter(dict[str, DataCredential])


class Vault:
    """Keeps, gives and forgets what hosts pass for their sessions."""

    def __init__(self, signing_pem: bytes) -> None:
        self._sealing = Seal(signing_pem, purpose="inset data credentials")

    async def keep(self, db: AsyncSession, session: Session, credentials: Mapping[str, DataCredential]) -> None:
        """Keep these for an open session, which is held, in the place of what it had; its server's bridge is told."""
        row = {"session_id": session.id, "sealed": self._seal(session.id, credentials), "updated_at": now()}
        insert = upsert(db, DataCredentialRow).values(**row)
        await db.exec(insert.on_conflict_do_update(index_elements=["session_id"], set_=row))
        tell(db, session.id, "credentials", names=sorted(credentials))

    async def of_server(self, db: AsyncSession, server_id: str) -> dict[str, tuple[str, dict[str, DataCredential]]]:
        """Give what is kept for a server's open sessions and still good: by session, its notebook and that."""
        wanted = (
            select(Session.id, Session.notebook_id, DataCredentialRow.sealed)
            .join(DataCredentialRow, col(DataCredentialRow.session_id) == Session.id)
            .where(Session.server_id == server_id, col(Session.state).in_(OPEN))
        )
        return {
            session_id: (notebook_id, self._opened(session_id, sealed))
            for session_id, notebook_id, sealed in (await db.exec(wanted)).all()
        }

    def _seal(self, session_id: str, credentials: Mapping[str, DataCredential]) -> bytes:
        told = {
            name: {"value": credential.value.get_secret_value(), "expires_at": credential.expires_at}
            for name, credential in credentials.items()
        }
        return self._sealing.close(json.dumps(told, default=str).encode(), place=session_id)

    def _opened(self, session_id: str, sealed: bytes) -> dict[str, DataCredential]:
        try:
            text = self._sealing.open(sealed, place=session_id)
        except Broken:
            log.error("session %s: its data credentials were kept under another signing key", session_id)
            return {}
        kept = _SET.validate_json(text)
        return {
            name: credential
            for name, credential in kept.items()
            if credential.expires_at is None or credential.expires_at > now()
        }
