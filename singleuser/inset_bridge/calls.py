"""The service's calls: known by their signature, made with the key that came with this server's credential.

Who calls otherwise comes with a hub token, about which the hub is asked each time.
"""

import asyncio
import hmac
import time
from hashlib import sha256

from tornado.httputil import HTTPServerRequest

from inset_bridge.errors import RefusedByService, ServiceUnavailable
from inset_bridge.service import Service

_SCHEME = "Inset"
_LONGEST = 120
"""Seconds for which any signature is good here: a minute, and as long again where this server's clock is behind."""
_KEY_WITHIN = 2.0
"""Seconds for which a call waits for the key: the first one may come while it is being fetched."""


class ServiceHandler:
    """What the service calls. Nothing else is open to what it has signed."""

    calls: "Calls"


class Calls:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def is_signed(self, request: HTTPServerRequest) -> bool:
        """Tell whether the service has signed this request, and not long ago."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        until, _, signature = token.partition(".")
        if scheme != _SCHEME or not (until.isascii() and until.isdecimal()):
            return False
        if not 0 <= int(until[:12]) - time.time() <= _LONGEST:
            return False
        try:
            async with asyncio.timeout(_KEY_WITHIN):
                key = await self._service.call_key()
        except (ServiceUnavailable, RefusedByService, TimeoutError):
            return False
        signed = hmac.digest(key.encode(), f"{request.method} {request.path} {until}".encode(), sha256).hex()
        return bool(key) and hmac.compare_digest(signed.encode(), signature.encode())
