"""How a webhook is signed, by the convention of Standard Webhooks (https://www.standardwebhooks.com)."""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

_PREFIX = "whsec_"
_LENGTHS = range(24, 65)


def new_secret() -> str:
    """Make a secret."""
    return _PREFIX + b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """Read a secret. Raises `ValueError`, which does not tell it, for one of another form."""
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _LENGTHS:
        raise ValueError("a secret is `whsec_` and base64 of 24 to 64 bytes: `inset webhooks secret` makes one")
    return key


def signed_headers(id: str, body: bytes, keys: Sequence[bytes], *, at: datetime) -> dict[str, str]:
    """Give the headers that sign a body with each of these keys, for a receiver that knows one of them."""
    timestamp = str(int(at.timestamp()))
    content = f"{id}.{timestamp}.".encode() + body
    signatures = [b64encode(hmac.digest(key, content, sha256)).decode() for key in keys]
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
