"""The keys that host applications publish as JWK sets: fetched when one is needed, and kept for a while."""

import asyncio
import json
import logging
import re
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import BaseModel

from inset.errors import KeysUnavailable
from inset.keys import Jwk
from inset.models import HostKey

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 5.0
_LARGEST_SET = 256 * 1024
_FRESH_SECONDS = 300.0
"""How long a set is kept whose answer says nothing of it (`Cache-Control: max-age`)."""
_LONGEST_FRESH_SECONDS = 3600.0
_LONGEST_INTERVAL_SECONDS = 60.0
"""How seldom an address is asked that goes on failing."""


class _NoKeySet(Exception):
    """The address answered, and not with a JWK set."""


class _Document(BaseModel):
    keys: list[dict[str, Any]]


@dataclass
class _KeySet:
    """What one address published when it was last asked."""

    keys: dict[str, HostKey] = field(default_factory=dict)
    fresh_until: float = 0
    not_before: float = 0
    """When the address may be asked again."""
    failures: int = 0
    fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    def due(self, kid: str) -> bool:
        """Tell whether to ask the address: for what has grown old, and for a key that it may have published since."""
        clock = time.monotonic()
        return clock >= self.not_before and (clock >= self.fresh_until or kid not in self.keys)


class JwksCache:
    """The published keys of all host applications, as this replica last saw them."""

    def __init__(self, http: httpx.AsyncClient, *, interval_seconds: float = 10) -> None:
        """An address is asked at most once in an interval, whatever tokens come, and less often while it fails."""
        self._http = http
        self._interval_seconds = interval_seconds
        self._sets: dict[tuple[str, str], _KeySet] = {}

    async def find(self, host_id: str, url: str, kid: str) -> HostKey | None:
        """Find a host application's published key; None if it has published none of this name.

        While the address fails, the keys that are known stay good. Raises `KeysUnavailable` for any other.
        """
        published = self._sets.setdefault((host_id, url), _KeySet())
        # Whoever needs a key that is known does not wait for somebody else's fetch.
        if published.due(kid) and not (kid in published.keys and published.fetching.locked()):
            async with published.fetching:
                if published.due(kid):
                    await self._fetch(url, published)
        key = published.keys.get(kid)
        if key is None and published.failures:
            raise KeysUnavailable
        return key

    async def _fetch(self, url: str, published: _KeySet) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                published.keys, fresh = await self._read(url)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, _NoKeySet) as exc:
            published.failures += 1
            log.warning("%s: no keys could be fetched (%s: %s)", url, type(exc).__name__, exc)
        else:
            published.failures, published.fresh_until = 0, time.monotonic() + fresh
        interval = self._interval_seconds * 2.0 ** min(max(published.failures - 1, 0), 10)
        published.not_before = time.monotonic() + min(interval, _LONGEST_INTERVAL_SECONDS)

    async def _read(self, url: str) -> tuple[dict[str, HostKey], float]:
        # Uncompressed, so that what is counted is what is kept.
        headers = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
        async with self._http.stream("GET", url, headers=headers, follow_redirects=False) as response:
            if response.status_code != 200:
                raise _NoKeySet(f"status {response.status_code}")
            content = b""
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > _LARGEST_SET:
                    raise _NoKeySet(f"more than {_LARGEST_SET} bytes")
            return _keys(content), _fresh_for(response.headers.get("Cache-Control", ""))


def _keys(content: bytes) -> dict[str, HostKey]:
    try:
        document = _Document.model_validate(json.loads(content))
    except (RecursionError, ValueError) as exc:
        raise _NoKeySet("no JWK set") from exc
    keys: dict[str, HostKey] = {}
    for published in document.keys:
        try:
            key = Jwk.model_validate(published).to_key()
        except ValueError as exc:
            log.info("a published key is passed over: %s", str(exc).splitlines()[0])
        else:
            keys.setdefault(key.kid, key)
    return keys


def _fresh_for(cache_control: str) -> float:
    if re.search(r"\bno-(store|cache)\b", cache_control):
        return 0
    max_age = re.search(r"\bmax-age=(\d{1,9})\b", cache_control)
    return min(float(max_age[1]), _LONGEST_FRESH_SECONDS) if max_age else _FRESH_SECONDS
