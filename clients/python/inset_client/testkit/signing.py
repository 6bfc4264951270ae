"""Receipts that verify: signed by a key that the fake makes and publishes."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jose import jwt

from inset_client.receipts import AUDIENCE
from inset_client.testkit.state import FakeNotebook, FakeVersion


class ReceiptSigner:
    """Signs as the service does."""

    def __init__(self, issuer: str, host: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self._issuer, self._host = issuer, host
        numbers = key.public_key().public_numbers()
        place = {"kty": "EC", "crv": "P-256", "x": _written(numbers.x), "y": _written(numbers.y)}
        kid = hashlib.sha256(repr(place).encode()).hexdigest()[:16]
        self.jwk: dict[str, Any] = {"kid": kid, "alg": "ES256", "use": "sig", **place}

    def receipt(self, notebook: FakeNotebook, version: FakeVersion) -> str:
        """Sign what a version is."""
        facts = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "host": self._host,
            "user": notebook.owner,
            "notebook": notebook.id,
            "version": version.number,
            "sha256": version.sha256,
            "size": len(version.content),
            "iat": int(version.created_at.timestamp()),
        }
        headers = {"kid": self.jwk["kid"], "typ": "inset-receipt+jwt"}
        return jwt.encode(facts, self._pem, algorithm="ES256", headers=headers)


def _written(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes(32)).decode().rstrip("=")
