"""What makes a key fit to verify a host application's JWTs, wherever it comes from."""

import secrets
from base64 import urlsafe_b64decode
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pydantic import BaseModel, Field

from inset.models import HostKey

_SHORTEST_SECRET = 32
_SMALLEST_RSA = 2048


def unfit(key: HostKey) -> str | None:
    """Say why a key must not be used; None if it may."""
    if key.alg == "HS256":
        if "-----BEGIN" in key.key:
            return "HS256 takes a secret, and this is a PEM: anybody could sign with it"
        return None if len(key.key) >= _SHORTEST_SECRET else f"a secret needs at least {_SHORTEST_SECRET} characters"
    try:
        public = load_pem_public_key(key.key.encode())
    except (UnsupportedAlgorithm, ValueError):
        return f"{key.alg} takes the PEM of a public key, and this cannot be read as one"
    if key.alg == "ES256":
        fits = isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1)
        return None if fits else "ES256 takes a key on the curve P-256"
    fits = isinstance(public, RSAPublicKey) and public.key_size >= _SMALLEST_RSA
    return None if fits else f"RS256 takes an RSA key of at least {_SMALLEST_RSA} bits"


def new_secret() -> str:
    """Make a secret for HS256."""
    return secrets.token_urlsafe(48)


class Jwk(BaseModel):
    """A public key as hosts publish it (RFC 7517), as far as it matters here."""

    kid: str = Field(min_length=1)
    kty: Literal["RSA", "EC"]
    crv: Literal["P-256"] | None = None
    alg: Literal["RS256", "ES256"] | None = None
    use: Literal["sig"] | None = None
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""
    d: None = None
    """A private key that was published is everybody's."""

    def to_key(self) -> HostKey:
        """Pin it to its one algorithm. Raises `ValueError` (pydantic's too) for a key that is not fit.

        A secret never is: whoever reads the address could sign with it.
        """
        public: RSAPublicKey | EllipticCurvePublicKey
        if self.kty == "RSA":
            public = RSAPublicNumbers(e=_number(self.e), n=_number(self.n)).public_key()
        elif self.crv is None:
            raise ValueError("an EC key names its curve")
        else:
            public = EllipticCurvePublicNumbers(_number(self.x), _number(self.y), SECP256R1()).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        key = HostKey(kid=self.kid, alg=self.alg or ("RS256" if self.kty == "RSA" else "ES256"), key=pem)
        reason = unfit(key)
        if reason:
            raise ValueError(reason)
        return key


def _number(text: str) -> int:
    return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
