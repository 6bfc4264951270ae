"""Every call of the API, said once: its method, its path, what it answers and how it may be sent again.

Both clients send by this table, and a test compares it with `docs/openapi.json`.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from inset_client import models

Answered = TypeVar("Answered")


@dataclass(frozen=True)
class Operation(Generic[Answered]):
    """One call."""

    method: str
    path: str
    answer: type[Answered]
    """A model; bytes or str for a body as it is; NoneType for none."""
    once: bool = False
    """Whether it takes an `Idempotency-Key`, so that sending it again makes nothing twice."""
    repeatable: bool = True
    """Whether it may be sent again when nobody knows if it was carried out."""


CREATE_NOTEBOOK = Operation("POST", "/v1/notebooks", models.NotebookStored, once=True)
LIST_NOTEBOOKS = Operation("GET", "/v1/notebooks", models.Page[models.Notebook])
GET_NOTEBOOK = Operation("GET", "/v1/notebooks/{id}", models.Notebook)
RENAME_NOTEBOOK = Operation("PATCH", "/v1/notebooks/{id}", models.Notebook)
# Done a second time, these two answer that there is nothing to be done it to.
DELETE_NOTEBOOK = Operation("DELETE", "/v1/notebooks/{id}", type(None), repeatable=False)
UNDELETE_NOTEBOOK = Operation("POST", "/v1/notebooks/{id}/undelete", models.Notebook, repeatable=False)
GET_CONTENT = Operation("GET", "/v1/notebooks/{id}/content", bytes)
# Equal content on an equal base is stored once.
REPLACE_CONTENT = Operation("PUT", "/v1/notebooks/{id}/content", models.NotebookStored)
GET_PREVIEW = Operation("GET", "/v1/notebooks/{id}/preview", str)
COMPARE_VERSIONS = Operation("GET", "/v1/notebooks/{id}/diff", models.NotebookDiff)

LIST_VERSIONS = Operation("GET", "/v1/notebooks/{id}/versions", models.Page[models.Version])
GET_VERSION = Operation("GET", "/v1/notebooks/{id}/versions/{number}", models.Version)
LABEL_VERSION = Operation("PATCH", "/v1/notebooks/{id}/versions/{number}", models.Version)
GET_VERSION_CONTENT = Operation("GET", "/v1/notebooks/{id}/versions/{number}/content", bytes)
GET_VERSION_PREVIEW = Operation("GET", "/v1/notebooks/{id}/versions/{number}/preview", str)
GET_RECEIPT = Operation("GET", "/v1/notebooks/{id}/versions/{number}/receipt", models.Receipt)
RESTORE_VERSION = Operation("POST", "/v1/notebooks/{id}/versions/{number}/restore", models.VersionStored, once=True)
RESOLVE_VERSION = Operation("POST", "/v1/notebooks/{id}/versions/{number}/resolve", models.VersionStored, once=True)

OPEN_SESSION = Operation("POST", "/v1/sessions", models.Session, once=True)
LIST_SESSIONS = Operation("GET", "/v1/sessions", models.Page[models.Session])
GET_SESSION = Operation("GET", "/v1/sessions/{id}", models.Session)
CLOSE_SESSION = Operation("DELETE", "/v1/sessions/{id}", models.Session)
PUT_CREDENTIALS = Operation("PUT", "/v1/sessions/{id}/credentials", models.CredentialsHeld)
FOLLOW_SESSION = Operation("GET", "/v1/sessions/{id}/events", bytes)
# A URL that got lost is never opened; what is saved is not saved again.
CREATE_IFRAME_URL = Operation("POST", "/v1/sessions/{id}/iframe-url", models.IframeUrl)
SAVE_SESSION = Operation("POST", "/v1/sessions/{id}/save", models.SavedNow)

REVOKE_USER = Operation("POST", "/v1/users/{user}/revoke", models.Revoked)
LIST_ACTS = Operation("GET", "/v1/audit", models.Page[models.Act])
DIAGNOSE = Operation("GET", "/v1/doctor", models.Diagnosis)
LIST_DELIVERIES = Operation("GET", "/v1/webhooks/deliveries", models.Page[models.Delivery])
# A delivery that is made twice has the same id, by which its receiver knows it.
RESEND_DELIVERY = Operation("POST", "/v1/webhooks/deliveries/{id}/resend", models.Delivery)

LIST_KEYS = Operation("GET", "/.well-known/jwks.json", bytes)
