"""Webhooks: what happens is told to host applications' back ends, signed, at least once.

`feeds` reads what has happened, `telling` turns it into deliveries, `sending` makes the attempts, `endpoints` is where
operators say to whom, `deliveries` is what they and hosts look at.
"""

from inset.webhooks.deliveries import forget, list_deliveries, resend, resend_failed
from inset.webhooks.endpoints import PURPOSE, WebhookEntry, apply_endpoints, remove_endpoints
from inset.webhooks.posting import Poster
from inset.webhooks.sending import Webhooks
from inset.webhooks.signatures import new_secret

__all__ = [
    "PURPOSE",
    "Poster",
    "WebhookEntry",
    "Webhooks",
    "apply_endpoints",
    "forget",
    "list_deliveries",
    "new_secret",
    "remove_endpoints",
    "resend",
    "resend_failed",
]
