"""What Inset tells this backend by itself: signed, at least once (`docs/webhooks.md`)."""

import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from .deps import AnalysesDep, SettingsDep
from .problems import Problem

router = APIRouter()

REPLAY_WINDOW = 300


@router.post("/inset-events", status_code=204)
async def receive(request: Request, analyses: AnalysesDep, settings: SettingsDep) -> Response:
    """Note what was saved. The highest version counts, so it does not matter if an event comes twice or late."""
    if settings.webhook_secret is None:
        raise Problem("There is nothing here", status=404)
    event = verified(settings.webhook_secret.get_secret_value(), request.headers, await request.body())
    data = event["data"]
    if "notebook_id" in data:
        what, id = _in_words(event["type"], data), request.headers["webhook-id"]
        analyses.note_event(id, data["notebook_id"], type=event["type"], at=event["timestamp"], what=what)
    if event["type"] == "notebook.saved":
        analyses.note_save(data["notebook_id"], version=data["version"], at=data["stored_at"])
    return Response(status_code=204)


def _in_words(type: str, data: Mapping[str, Any]) -> str:
    if type.startswith("notebook."):
        return f"version {data['version']}, {data.get('origin', 'saved')}"
    return str(data.get("reason") or "it can be used")


def verified(secret: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Give the event that Inset signed, within the replay window."""
    try:
        id, timestamp = headers["webhook-id"], int(headers["webhook-timestamp"])
        signatures = headers["webhook-signature"].split()
    except (KeyError, ValueError) as exc:
        raise Problem("This is no webhook", status=400) from exc
    if abs(time.time() - timestamp) > REPLAY_WINDOW:
        raise Problem("This webhook is too old", status=400)
    key = b64decode(secret.removeprefix("whsec_"))
    signed = b64encode(hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256))
    if not any(hmac.compare_digest(candidate.encode(), b"v1," + signed) for candidate in signatures):
        raise Problem("This webhook is not Inset's", status=401)
    event: dict[str, Any] = json.loads(body)
    return event
