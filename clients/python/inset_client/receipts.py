"""Receipts: the service's signed proof that it holds a version, verified by the keys that it publishes."""

from datetime import datetime
from typing import Any

from jose import JOSEError, jws, jwt
from pydantic import Field, ValidationError

from inset_client.errors import ReceiptInvalid
from inset_client.models import Answer

AUDIENCE = "inset-receipt"


class ReceiptFacts(Answer):
    """What a receipt proves."""

    host: str
    user: str
    notebook: str
    version: int
    sha256: str
    size: int
    stored_at: datetime = Field(alias="iat")


def verify_receipt(receipt: str, keys: dict[str, Any], *, issuer: str) -> ReceiptFacts:
    """Give what the service at `issuer` signed, by a JWK set of its keys. Raises `ReceiptInvalid`."""
    try:
        facts = jwt.decode(receipt, keys, algorithms=["ES256"], audience=AUDIENCE, issuer=issuer)
        return ReceiptFacts.model_validate(facts)
    except (JOSEError, ValidationError) as exc:
        raise ReceiptInvalid("The service did not sign this receipt.") from exc


def signed_by(receipt: str) -> str | None:
    """Name the key that a receipt says it was signed by, which nobody has verified yet. Raises `ReceiptInvalid`."""
    try:
        kid = jws.get_unverified_header(receipt).get("kid")
    except JOSEError as exc:
        raise ReceiptInvalid("This is no receipt.") from exc
    return kid if isinstance(kid, str) else None
