"""The way in: `inset/enter` trades a ticket for a cookie, `inset/probe` tells whether the browser kept it."""

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado.web import HTTPError

from inset_bridge import cookies, entry_page
from inset_bridge.documents import Documents
from inset_bridge.entries import Entries
from inset_bridge.errors import BridgeError, RefusedByService, ServiceUnavailable, TicketRefused
from inset_bridge.identity import authorization
from inset_bridge.notebook_page import NotebookPage
from inset_bridge.origins import Origins
from inset_bridge.service import Redeemed, Service
from inset_bridge.settings import Settings

_TICKET = re.compile(r"[A-Za-z0-9._~-]{1,4096}")
_REASONS = {"ticket-expired", "ticket-used", "ticket-invalid", "ticket-for-another-server", "session-over"}


class Door:
    """Redeems tickets. Anybody may knock, so a few at a time are asked for at the service, and nonsense never."""

    def __init__(self, service: Service, settings: Settings, *, at_once: int = 4) -> None:
        self._service = service
        self._settings = settings
        self._turn = asyncio.Semaphore(at_once)

    async def redeem(self, ticket: object) -> Redeemed:
        """Raises TicketRefused or ServiceUnavailable."""
        if not isinstance(ticket, str) or not _TICKET.fullmatch(ticket):
            raise TicketRefused("ticket-invalid")
        try:
            async with self._turn:
                redeemed = await self._service.redeem(ticket)
        except RefusedByService as exc:
            if exc.slug in _REASONS:
                raise TicketRefused(exc.slug) from exc
            raise ServiceUnavailable from exc
        if not redeemed.next.startswith(self._settings.prefix):
            raise ServiceUnavailable
        return redeemed


class EnterHandler(JupyterHandler):
    def initialize(
        self,
        settings: Settings,
        origins: Origins,
        entries: Entries,
        door: Door,
        documents: Documents,
        notebook: NotebookPage | None,
    ) -> None:
        self.inset, self.origins, self.entries, self.notebook = settings, origins, entries, notebook
        self.door, self.documents = door, documents

    @allow_unauthenticated
    def get(self) -> None:
        page = entry_page.enter(self.origins.host, self.notebook)
        entry_page.set_headers(self, page, only_its_own=self.notebook is None)
        self.finish(page.html)

    @allow_unauthenticated
    async def post(self) -> None:
        body = self.get_json_body()
        redeemed = await self.door.redeem(body.get("ticket") if isinstance(body, dict) else None)
        known = self.entries.known(self.get_cookie(cookies.ENTRY) or "", authorization(self))
        is_new = redeemed.session_id not in self.entries.sessions()
        entry = self.entries.admit(redeemed, known)
        if is_new:
            # A page that comes again has a kernel, or a user who has ended it.
            self.documents.opened(redeemed.notebook_id)
        if known is None:
            # What an earlier user of this seat left in the browser. Not "cookies": those go for the whole domain.
            self.set_header("Clear-Site-Data", '"storage"')
        cookies.set_entry(self, entry.id, prefix=self.base_url)
        self.set_header("Cache-Control", "no-store")
        self.finish(
            {
                "next": redeemed.next,
                "code": self.entries.code_for(entry),
                "expires_in": redeemed.expires_in,
                # An edge lets no capability pass.
                "needs_cookies": self.inset.behind_edge,
                # JupyterLab never starts where it can store nothing; the notebook alone does.
                "needs_storage": redeemed.next.startswith(f"{self.inset.prefix}lab"),
            }
        )

    def check_xsrf_cookie(self) -> None:
        """There is no cookie yet to check by: the request must come from this origin's own page."""
        site = self.request.headers.get("Sec-Fetch-Site", "same-origin")
        origin = self.request.headers.get("Origin")
        if site != "same-origin" or (origin is not None and urlsplit(origin).netloc != self.request.host):
            raise HTTPError(403)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        write_json_error(self, status_code, **kwargs)


class ProbeHandler(APIHandler):
    """204 if the cookie of the entry came back; its code is void then."""

    def initialize(self, entries: Entries) -> None:
        self.entries = entries

    @allow_unauthenticated
    def get(self) -> None:
        code = self.get_query_argument("n", "")
        entry = self.entries.peek(code)
        kept = entry is not None and entry is self.entries.by_id(self.get_cookie(cookies.ENTRY) or "")
        if entry is not None and kept:
            entry.partitioned = self.get_query_argument("partitioned", "") == "true"
            self.entries.spend(code)
        self.set_header("Cache-Control", "no-store")
        self.set_status(204 if kept else 401)
        self.finish()


def write_json_error(handler: JupyterHandler, status_code: int, **kwargs: Any) -> None:
    """The bridge's own errors as they are; anything else without its text."""
    error = kwargs.get("exc_info", (None, None))[1]
    body = error.to_body() if isinstance(error, BridgeError) else {"code": "error", "message": handler._reason}
    handler.set_header("Content-Type", "application/json")
    handler.finish(body)
