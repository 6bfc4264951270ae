"""What the service signs: tickets for frames, credentials for save bridges, receipts for hosts.

ES256, so that nobody else can. Each has an audience of its own, and receipts, which leave the house, a type too.
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from jose import ExpiredSignatureError, JOSEError, JWTError, jwk, jwt
from pydantic import BaseModel

from inset.clock import now
from inset.errors import TicketExpired, TicketInvalid, UnknownServer
from inset.models import Interface

_ALGORITHM = "ES256"
_TICKET = "inset-ticket"
_CREDENTIAL = "inset-bridge"
_INTERNAL_TYPE = "JWT"
_RECEIPT_TYPE = "inset-receipt+jwt"


@dataclass(frozen=True)
class Ticket:
    """What an iframe URL carries: the right to enter one session's page on one server, once."""

    jti: str
    server_id: str
    session_id: str
    interface: Interface
    expires_at: datetime


@dataclass(frozen=True)
class BridgeCredential:
    """What a save bridge shows: which server it belongs to, and until when."""

    server_id: str
    expires_at: datetime


class PublicJwk(BaseModel):
    """The service's public key (RFC 7517)."""

    kid: str
    """Its RFC 7638 thumbprint: another key has another name."""
    kty: str = "EC"
    crv: str = "P-256"
    alg: str = _ALGORITHM
    use: str = "sig"
    x: str
    y: str


class Signer:
    """Signs and verifies with the service's one private key."""

    def __init__(self, private_pem: bytes) -> None:
        key = load_pem_private_key(private_pem, password=None)
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise ValueError("the signing key must be a P-256 private key")
        public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        # Read once: to read a key takes longer than to sign with it.
        self._private = jwk.construct(private_pem.decode(), _ALGORITHM)
        self._public = jwk.construct(public_pem.decode(), _ALGORITHM)
        numbers = key.public_key().public_numbers()
        self.jwk = _jwk(x=_number(numbers.x), y=_number(numbers.y))
        """The public half, for those who verify receipts."""

    def ticket(
        self, *, server_id: str, session_id: str, interface: Interface, lifetime: timedelta
    ) -> tuple[str, datetime]:
        """Sign a ticket, and say until when it is good."""
        expires = now() + lifetime
        claims = {"jti": uuid4().hex, "sid": session_id, "ui": interface}
        return self._sign(claims, audience=_TICKET, subject=server_id, expires=expires), expires

    def read_ticket(self, token: str) -> Ticket:
        """Verify a ticket. Raises `TicketExpired` or `TicketInvalid`."""
        try:
            claims = self._verify(token, audience=_TICKET)
            return Ticket(
                jti=claims["jti"],
                server_id=claims["sub"],
                session_id=claims["sid"],
                interface=claims["ui"],
                expires_at=datetime.fromtimestamp(claims["exp"], tz=now().tzinfo),
            )
        except ExpiredSignatureError as exc:
            raise TicketExpired from exc
        except (JOSEError, KeyError) as exc:
            raise TicketInvalid from exc

    def credential(self, *, server_id: str, lifetime: timedelta) -> str:
        """Sign the credential with which one server's save bridge calls the service."""
        return self._sign({}, audience=_CREDENTIAL, subject=server_id, expires=now() + lifetime)

    def read_credential(self, token: str) -> BridgeCredential:
        """Verify a bridge's credential. Raises `UnknownServer`."""
        try:
            claims = self._verify(token, audience=_CREDENTIAL)
            return BridgeCredential(
                server_id=claims["sub"], expires_at=datetime.fromtimestamp(claims["exp"], tz=now().tzinfo)
            )
        except (JOSEError, KeyError) as exc:
            raise UnknownServer from exc

    def receipt(self, facts: dict[str, Any]) -> str:
        """Sign a receipt. By its type, its audience, and that it never expires, it is neither of the above."""
        headers = {"typ": _RECEIPT_TYPE, "kid": self.jwk.kid}
        return jwt.encode(facts, self._private, algorithm=_ALGORITHM, headers=headers)

    def _sign(self, claims: dict[str, str], *, audience: str, subject: str, expires: datetime) -> str:
        full = {**claims, "aud": audience, "sub": subject, "exp": expires}
        return jwt.encode(full, self._private, algorithm=_ALGORITHM)

    def _verify(self, token: str, *, audience: str) -> dict[str, Any]:
        if jwt.get_unverified_header(token).get("typ") != _INTERNAL_TYPE:
            raise JWTError("another type of token")
        options = {"require_aud": True, "require_exp": True, "require_sub": True, "leeway": 0}
        return jwt.decode(token, self._public, algorithms=[_ALGORITHM], audience=audience, options=options)


def _jwk(*, x: str, y: str) -> PublicJwk:
    named = json.dumps({"crv": "P-256", "kty": "EC", "x": x, "y": y}, separators=(",", ":"), sort_keys=True)
    return PublicJwk(kid=_text(hashlib.sha256(named.encode()).digest()), x=x, y=y)


def _number(number: int) -> str:
    return _text(number.to_bytes(32))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
