"""The way in: one object for a service, and one for each user of it."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from inset_client import operations as ops
from inset_client._async.notebooks import AsyncNotebooks
from inset_client._async.sessions import AsyncSessions
from inset_client._async.transport import AsyncTransport
from inset_client.models import Act, Action, Capability, Delivery, DeliveryState, Diagnosis, Revoked
from inset_client.receipts import ReceiptFacts, signed_by, verify_receipt
from inset_client.retries import Retries
from inset_client.tokens import Algorithm, HostKey, Token
from inset_client.wire import Call


class AsyncUser:
    """What is one user's."""

    def __init__(self, transport: AsyncTransport) -> None:
        self.notebooks = AsyncNotebooks(transport)
        self.sessions = AsyncSessions(transport)


class AsyncInset:
    """An Inset service, as a host application's backend uses it.

    `key_id` and `key` are what the host application is registered with: a shared secret (HS256) or the PEM of its
    private key. `public_url` is the service's own `INSET_PUBLIC_URL`, where it is called by another address.
    """

    def __init__(
        self,
        url: str,
        *,
        issuer: str,
        key_id: str,
        key: str,
        algorithm: Algorithm = "HS256",
        public_url: str | None = None,
        timeout: float | httpx.Timeout = 30,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._host = HostKey(
            issuer=issuer,
            audience=(public_url or url).rstrip("/"),
            key_id=key_id,
            key=key,
            algorithm=algorithm,
        )
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout, transport=transport)
        self._retries = retries or Retries()
        self._backend = self._transport(Token(lambda: self._host.for_backend(issuer), lifetime=self._host.lifetime))
        self._published: dict[str, Any] = {"keys": []}

    def as_user(self, user: str, *, may: Sequence[Capability] | None = None) -> AsyncUser:
        """Speak as this user would from his page, allowed no more than `may`."""
        return AsyncUser(self._transport(Token(lambda: self.token(user, may=may), lifetime=self._host.lifetime)))

    def acting_for(self, user: str) -> AsyncUser:
        """Speak as the backend that acts for this user, whatever he may do himself."""
        return AsyncUser(self._transport(Token(lambda: self._host.for_backend(user), lifetime=self._host.lifetime)))

    def token(self, user: str, *, may: Sequence[Capability] | None = None) -> str:
        """Sign the token that a user's page is given: what the SDK's `fetchToken` asks your backend for."""
        return self._host.for_user(user, may=may)

    async def revoke(self, user: str) -> Revoked:
        """Turn a user away: tokens signed for him until now are refused, his sessions are saved and ended."""
        return await self._backend.ask(ops.REVOKE_USER, Call(path={"user": user}))

    def audit(
        self,
        *,
        user: str | None = None,
        action: Action | None = None,
        notebook_id: str | None = None,
        session_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Act]:
        """Give what was done with the host application's notebooks and sessions, newest first; times have a zone."""
        query = {
            "user": user,
            "action": action,
            "notebook_id": notebook_id,
            "session_id": session_id,
            "since": since and since.isoformat(),
            "until": until and until.isoformat(),
        }
        return self._backend.items(ops.LIST_ACTS, Call(query=query))

    def deliveries(self, *, state: DeliveryState | None = None) -> AsyncIterator[Delivery]:
        """Give what was sent to your webhook endpoints, or waits to be, newest first."""
        return self._backend.items(ops.LIST_DELIVERIES, Call(query={"state": state}))

    async def resend(self, delivery_id: int) -> Delivery:
        """Have a webhook made again at once, whatever became of it. Raises `DeliveryNotFound` or `EndpointOff`."""
        return await self._backend.ask(ops.RESEND_DELIVERY, Call(path={"id": delivery_id}))

    async def diagnose(self) -> Diagnosis:
        """Have the service examine its deployment, and of the host applications yours."""
        return await self._backend.ask(ops.DIAGNOSE, Call())

    async def verify_receipt(self, receipt: str) -> ReceiptFacts:
        """Give what a receipt proves, by the keys that the service publishes. Raises `ReceiptInvalid`."""
        kid = signed_by(receipt)
        if all(key["kid"] != kid for key in self._published["keys"]):
            self._published = (await self._backend.send(ops.LIST_KEYS, Call())).json()
        return verify_receipt(receipt, self._published, issuer=self._host.audience)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _transport(self, token: Token) -> AsyncTransport:
        return AsyncTransport(self._http, token, self._retries)
