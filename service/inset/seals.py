"""What the database keeps and must not be able to tell: encrypted by a key that every replica has and it has not.

The key is derived from the service's signing key. Under another signing key nothing opens.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

_NONCE_LENGTH = 12


class Broken(ValueError):
    """It was sealed under another signing key, or for another place."""


def derived_key(signing_pem: bytes, *, purpose: str) -> bytes:
    """Derive a key of 32 bytes from the signing key: another for each purpose, and none leads back to it."""
    key = load_pem_private_key(signing_pem, password=None)
    secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)


class Seal:
    """Encrypts for one purpose."""

    def __init__(self, signing_pem: bytes, *, purpose: str) -> None:
        self._cipher = AESGCM(derived_key(signing_pem, purpose=purpose))

    def close(self, content: bytes, *, place: str) -> bytes:
        """Encrypt for one place, where alone it can be read."""
        nonce = os.urandom(_NONCE_LENGTH)
        return nonce + self._cipher.encrypt(nonce, content, place.encode())

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Give back what was sealed for this place. Raises `Broken`."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], place.encode())
        except (InvalidTag, ValueError) as exc:
            raise Broken("it was sealed under another signing key, or for another place") from exc
