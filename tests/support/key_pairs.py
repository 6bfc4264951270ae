"""Key pairs of the tests' host applications, and the JWK sets in which they publish them."""

import asyncio
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True)
class KeyPair:
    """One key, as it signs and as it is published."""

    kid: str
    alg: str
    private_pem: str = field(repr=False)
    public_pem: str
    jwk: dict[str, Any]

    @classmethod
    def new(cls, kid: str, alg: str = "ES256", *, bits: int = 2048) -> "KeyPair":
        """Make one."""
        private: Any
        if alg == "ES256":
            private = ec.generate_private_key(ec.SECP256R1())
            numbers = private.public_key().public_numbers()
            jwk = {"kty": "EC", "crv": "P-256", "x": _b64(numbers.x, 32), "y": _b64(numbers.y, 32)}
        else:
            private = rsa.generate_private_key(65537, bits)
            numbers = private.public_key().public_numbers()
            jwk = {"kty": "RSA", "n": _b64(numbers.n, bits // 8), "e": _b64(numbers.e, 3)}
        return cls(
            kid=kid,
            alg=alg,
            private_pem=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            public_pem=private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            jwk={"kid": kid, "use": "sig", **jwk},
        )


class KeyServer:
    """Publishes a JWK set over HTTP, and counts who asks for it. What it answers can be anything."""

    def __init__(self, *pairs: KeyPair) -> None:
        self.keys: list[dict[str, Any]] = [pair.jwk for pair in pairs]
        self.body: bytes | None = None
        """Sent instead of the keys."""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked = 0
        self.answering = asyncio.Event()
        """While it is clear, nothing is answered."""
        self.answering.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return await send({"type": "lifespan.shutdown.complete"})
        self.asked += 1
        assert Request(scope).method == "GET"
        await self.answering.wait()
        body = json.dumps({"keys": self.keys}).encode() if self.body is None else self.body
        answer = Response(body, self.status, {"Content-Type": "application/json", **self.headers})
        return await answer(scope, receive, send)


def _b64(number: int, length: int) -> str:
    return urlsafe_b64encode(number.to_bytes(length)).decode().rstrip("=")
