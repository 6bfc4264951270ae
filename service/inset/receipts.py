"""What a host keeps as proof: that the service held these bytes as this version, signed by it, for ever."""

from typing import Any

from pydantic import BaseModel, Field

from inset.models import Appended, Held, Notebook, Version
from inset.signing import Signer

AUDIENCE = "inset-receipt"


class Receipt(BaseModel):
    """A signed statement."""

    receipt: str = Field(description="A compact JWS; `/.well-known/jwks.json` has the key.")


class Receipts:
    """Signs what a version is. Of one version all receipts say the same, whenever they are asked for."""

    def __init__(self, signer: Signer, *, issuer: str) -> None:
        """`issuer` is the service's public URL."""
        self._signer = signer
        self._issuer = issuer

    def sign(self, notebook: Notebook | Held, version: Version | Appended) -> str:
        """Sign a receipt. It grants nothing, names no content but its hash, and never expires."""
        facts: dict[str, Any] = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "host": notebook.host_id,
            "user": notebook.owner,
            "notebook": notebook.id,
            "version": version.number,
            "sha256": version.sha256,
            "size": version.size,
            "iat": int(version.created_at.timestamp()),
        }
        return self._signer.receipt(facts)
