"""Cookies that a browser keeps inside another site's frame.

Secure, SameSite=None and Partitioned: kept where third-party cookies are refused, and an ordinary cookie to a browser
that does not know partitions, which is right for a host on the same site.
"""

import hashlib
from http.cookies import Morsel
from typing import Any

from jupyterhub._xsrf_utils import _set_xsrf_cookie
from tornado.web import RequestHandler

ENTRY = "__Host-inset"
"""Bound to this seat's own origin: no sibling seat can set it or toss one over it."""

ATTRIBUTES: dict[str, Any] = {"secure": True, "samesite": "None", "partitioned": True}


def allow_partitioned() -> None:
    """Teach `http.cookies` the attribute that Python knows from 3.14 on."""
    Morsel._reserved.setdefault("partitioned", "Partitioned")  # type: ignore[attr-defined]
    Morsel._flags.add("partitioned")  # type: ignore[attr-defined]


def set_entry(handler: RequestHandler, id: str, *, prefix: str) -> None:
    """Set the entry's cookie and its XSRF cookie in one answer.

    Two frames that enter at once would else end with the one's and the other's.
    """
    handler.set_cookie(ENTRY, id, path="/", httponly=True, **ATTRIBUTES)
    _set_xsrf_cookie(handler, xsrf_id(id), cookie_path=prefix, authenticated=True)


def xsrf_id(id: str) -> bytes:
    """Bound to the entry and not to its hub token, which changes when an open page is given a new one."""
    return b"inset:" + hashlib.sha256(id.encode()).hexdigest().encode()
