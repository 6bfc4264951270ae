"""One attempt to post to an endpoint: within a time, to an allowed address, following no redirect."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpcore

from inset import __version__
from inset.clock import now
from inset.settings import WebhookSettings
from inset.webhooks.addresses import AddressNotAllowed, CheckedNetwork
from inset.webhooks.queue import Outcome

_RESOLVERS = 64
"""A thread stays with a name whose server does not answer, longer than its attempt lasts."""
_ANSWER_READ = 16_384
"""How much of an answer is read, so that its connection can be used again. Nothing of it is looked at."""

_SECONDS = re.compile("[0-9]{1,9}")


class Poster:
    """Posts to endpoints. Not by the client of anything else: no connection, cookie or proxy is shared."""

    def __init__(self, encrypted: httpcore.AsyncConnectionPool, plain: httpcore.AsyncConnectionPool, seconds: float):
        self._pools = {"https": encrypted, "http": plain}
        self._seconds = seconds

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: WebhookSettings, trusted: ssl.SSLContext) -> AsyncIterator["Poster"]:
        """Open one that trusts certificates as TLS is told here, and close its connections on leaving."""
        resolver = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="webhook-names")

        def pool(*, encrypted: bool) -> httpcore.AsyncConnectionPool:
            network = CheckedNetwork(settings.networks, resolver, encrypted=encrypted)
            # No bound but each endpoint's own: none waits for a connection that a slow one has.
            return httpcore.AsyncConnectionPool(
                trusted, max_connections=None, max_keepalive_connections=20, keepalive_expiry=4, network_backend=network
            )

        try:
            async with pool(encrypted=True) as encrypted, pool(encrypted=False) as plain:
                yield cls(encrypted, plain, settings.timeout.total_seconds())
        finally:
            resolver.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Post; whatever goes wrong is told as the outcome."""
        told: list[Outcome] = []
        try:
            async with asyncio.timeout(self._seconds):
                await self._post(url, headers, body, told)
        except AddressNotAllowed:
            return Outcome(error="address-not-allowed")
        except (TimeoutError, httpcore.TimeoutException):
            if not told:
                return Outcome(error="timed-out")
        except (httpcore.NetworkError, httpcore.ProtocolError) as exc:
            if not told:
                return Outcome(error="tls-failed" if _is_of_tls(exc) else "unreachable")
        # What it says after its status does not matter, nor how it ends.
        [outcome] = told
        return outcome

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes, told: list[Outcome]) -> None:
        parts = urlsplit(url)
        sent = {
            "Host": parts.netloc,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "User-Agent": f"inset/{__version__}",
            **headers,
        }
        async with self._pools[parts.scheme].stream("POST", url, headers=list(sent.items()), content=body) as answer:
            told.append(_outcome(answer.status, answer.headers))
            read = 0
            async for part in answer.aiter_stream():
                read += len(part)
                if read > _ANSWER_READ:
                    return


def _outcome(status: int, headers: Sequence[tuple[bytes, bytes]]) -> Outcome:
    if 200 <= status < 300:
        return Outcome(status)
    asked = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    return Outcome(status, "status", not_before=_time_of(asked.decode("latin-1")) if status in (429, 503) else None)


def _time_of(retry_after: str) -> datetime | None:
    """Read a `Retry-After`: seconds, or a date; None for what is neither."""
    if _SECONDS.fullmatch(retry_after):
        return now() + timedelta(seconds=int(retry_after))
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _is_of_tls(exc: BaseException | None) -> bool:
    return exc is not None and (isinstance(exc, ssl.SSLError) or _is_of_tls(exc.__cause__ or exc.__context__))
