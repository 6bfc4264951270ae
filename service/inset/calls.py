"""How a server's save bridge knows that it is the service who calls, without asking the hub.

Each call is signed, for a minute and for nothing but its method and its path, with a key for that server alone. The
bridge gets the key with its credential. It is derived from the service's signing key: every replica has it, and nobody
has to keep it.
"""

import hmac
import time
from hashlib import sha256

from inset.seals import derived_key

_SCHEME = "Inset"
"""Of the `Authorization`; one that no hub takes for its own."""

_GOOD_FOR_SECONDS = 60
"""How much later than the service's a server's clock may be, too."""


class CallKeys:
    """The keys of all servers."""

    def __init__(self, signing_pem: bytes) -> None:
        self._secret = derived_key(signing_pem, purpose="inset calls of save bridges")

    def of(self, server_id: str) -> str:
        """Give the key of one start of a server."""
        return hmac.digest(self._secret, server_id.encode(), sha256).hex()


def signed(key: str, method: str, path: str) -> str:
    """Give the `Authorization` of one call from now on; `path` is the whole, as the server sees it, without a query."""
    until = int(time.time()) + _GOOD_FOR_SECONDS
    signature = hmac.digest(key.encode(), f"{method} {path} {until}".encode(), sha256).hex()
    return f"{_SCHEME} {until}.{signature}"
