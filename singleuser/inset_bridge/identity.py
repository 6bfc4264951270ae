"""Who a request comes from: JupyterHub's own check of hub tokens, where the token is found in another way.

A page's requests carry a cookie with a random id, or a capability where cookies are refused; the hub token they stand
for is kept in `Entries`. The service's requests are signed, or carry a hub token of their own. No OAuth: without any of
these a page says that the session is over, and nothing leads to the hub.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyterhub.services.auth import HubOAuth
from jupyterhub.singleuser.extension import JupyterHubIdentityProvider, JupyterHubUser
from tornado.web import Finish, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler
from traitlets import Instance, default

from inset_bridge import cookies, entry_page
from inset_bridge.activity import Activity
from inset_bridge.calls import ServiceHandler
from inset_bridge.entries import CAPABILITY, Entries, Entry
from inset_bridge.errors import NotAllowed
from inset_bridge.interface import extensions_left, plugins_left_away
from inset_bridge.origins import Origins
from inset_bridge.settings import Settings
from inset_bridge.sockets import Sockets

CODE_ARGUMENT = "entry_code"
"""In the address of the one page that is opened without a cookie. JupyterHub's logs leave out what is named a code."""
HUB_CACHE_SECONDS = 5
"""How long a hub token that was revoked at the hub may go on."""


def authorization(handler: RequestHandler) -> str:
    """Give the token of the request's `Authorization`, of either scheme that Jupyter knows; empty without one."""
    given = HubOAuth.auth_header_pat.match(handler.request.headers.get("Authorization", ""))
    return str(given.group(1)) if given else ""


@dataclass(frozen=True)
class Presented:
    """What a request came with."""

    entry: Entry | None
    by: Literal["code", "capability", "cookie"]

    @property
    def explicit(self) -> bool:
        """A cookie comes along whoever made the browser ask; the others only a page of this server can know."""
        return self.by != "cookie"


class BridgeHubAuth(HubOAuth):  # type: ignore[misc]  # ships no types
    """Finds the hub token of a request; JupyterHub checks it."""

    entries = Instance(Entries)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._presented: WeakKeyDictionary[RequestHandler, Presented] = WeakKeyDictionary()

    def presented(self, handler: RequestHandler) -> Presented:
        """Looked at once for a request: a code is spent by it."""
        if handler not in self._presented:
            self._presented[handler] = self._look(handler)
        return self._presented[handler]

    def get_token(self, handler: RequestHandler, in_cookie: bool = True) -> str | None:
        """The hub token of the request. JupyterHub asks for what is explicit first: that needs no XSRF check."""
        given = authorization(handler)
        if given and not given.startswith(CAPABILITY):
            return given
        presented = self.presented(handler)
        if presented.entry and (presented.explicit or in_cookie):
            return presented.entry.hub_token
        return None

    def _get_token_cookie(self, handler: RequestHandler) -> str | None:
        entry = self.presented(handler).entry
        return entry.hub_token if entry else None

    def _get_xsrf_token_id(self, handler: RequestHandler) -> bytes:
        entry = self.presented(handler).entry
        if entry:
            return cookies.xsrf_id(entry.id)
        anonymous: bytes = super()._get_xsrf_token_id(handler)
        return anonymous

    def _clear_cookie(self, handler: RequestHandler, cookie_name: str, **kwargs: Any) -> None:
        # A browser takes back a partitioned cookie only if it is cleared as one; JupyterHub clears by its own name.
        handler.clear_cookie(cookies.ENTRY, path="/", **cookies.ATTRIBUTES)

    def _persist_url_token_if_set(self, handler: RequestHandler) -> None:
        """Never: a token in an address means nothing here, and JupyterHub would put it into a cookie."""

    def _look(self, handler: RequestHandler) -> Presented:
        if entry := self._by_code(handler):
            return Presented(entry, "code")
        if entry := self._by_capability(handler):
            return Presented(entry, "capability")
        return Presented(self.entries.by_id(handler.get_cookie(cookies.ENTRY) or ""), "cookie")

    def _by_code(self, handler: RequestHandler) -> Entry | None:
        if handler.request.method != "GET" or isinstance(handler, APIHandler | WebSocketHandler):
            return None
        return self.entries.spend(handler.get_query_argument(CODE_ARGUMENT, ""))

    def _by_capability(self, handler: RequestHandler) -> Entry | None:
        if given := authorization(handler):
            return self.entries.by_capability(given)
        # Browsers can't send a header with a websocket. Not told by Sec-Fetch-Mode, which plain http goes without.
        if isinstance(handler, WebSocketHandler):
            return self.entries.by_capability(handler.get_query_argument("token", ""))
        return None


class BridgeIdentityProvider(JupyterHubIdentityProvider):  # type: ignore[misc]  # ships no types
    """JupyterHub's, without its logins."""

    settings = Instance(Settings)
    origins = Instance(Origins)
    entries = Instance(Entries)
    sockets = Instance(Sockets)
    activity = Instance(Activity)

    # JupyterLab would write the server's own hub token into its pages.
    token = ""

    @default("hub_auth")
    def _default_hub_auth(self) -> BridgeHubAuth:
        return BridgeHubAuth(parent=self, entries=self.entries, cache_max_age=HUB_CACHE_SECONDS)

    def get_handlers(self) -> list[tuple[str, Any]]:
        """None: JupyterHub's lead to its own login and log-out. `app` puts ours in their place."""
        return []

    async def get_user(self, handler: JupyterHandler) -> JupyterHubUser | None:
        if isinstance(handler, ServiceHandler) and await handler.calls.is_signed(handler.request):
            # Jupyter's word for what no page could have sent.
            handler._token_authenticated = True  # type: ignore[attr-defined]
            return JupyterHubUser({"name": "inset"})
        user = await super().get_user(handler)
        if user:
            handler.current_user = handler._jupyter_current_user = user  # The page of an error asks for him.
            # Here for all handlers alike: Jupyter asks its authorizer in few of JupyterLab's and in none of Notebook's.
            if not await ensure_async(handler.authorizer.is_authorized(handler, user, "", "")):
                raise NotAllowed
        if user and isinstance(handler, WebSocketHandler):
            self.sockets.add(handler, self.hub_auth.presented(handler).entry)
        return user

    def _patch_get_login_url(self, handler: JupyterHandler) -> None:
        """Called for every request: what tornado's `authenticated` is to do with nobody."""

        def get_login_url() -> str:
            if isinstance(handler, APIHandler | WebSocketHandler):
                # At a 403 Jupyter's page takes its kernel for dead. One whose way in has run out may be let in again.
                renewable = self.entries.known(handler.get_cookie(cookies.ENTRY) or "", authorization(handler))
                raise HTTPError(503 if renewable else 403)
            raise Finish(over_page(handler, self.origins))

        # JupyterHub's own way: tornado looks it up on the handler.
        handler.get_login_url = get_login_url  # type: ignore[method-assign]

    def page_config_hook(self, handler: JupyterHandler, page_config: dict[str, Any]) -> dict[str, Any]:
        """Called for every Jupyter page."""
        presented = self.hub_auth.presented(handler)
        cookieless = presented.by == "code"
        user = handler.current_user
        page_config.update(
            # No hub in the page: these would show its menu and its share links.
            hubUser=user.name if user else "",
            hubPrefix="",
            hubHost="",
            shareUrl="",
            token=presented.entry.capability if cookieless else "",
            # Without cookies a page's websockets carry the capability in their address.
            appendToken="true" if cookieless else "false",
            insetOrigins=json.dumps(self.origins.host),
            insetApi=f"{self.settings.prefix}inset/api/",
            insetMode=_mode(presented),
            insetExpiresIn=str(int(presented.entry.expires_in)) if presented.entry else "",
            insetMay=json.dumps(sorted(self.settings.may)),
            disabledExtensions=[*page_config.get("disabledExtensions", []), *plugins_left_away(self.settings.may)],
            federated_extensions=extensions_left(page_config.get("federated_extensions", [])),
        )
        return page_config


def _mode(presented: Presented) -> Literal["partitioned", "plain", "cookieless"]:
    """Which step of the ladder a page stands on."""
    if presented.by != "cookie":
        return "cookieless"
    return "partitioned" if presented.entry and presented.entry.partitioned else "plain"


class OverHandler(JupyterHandler):
    """Where Jupyter's own log-out leads: closing a session is the host's business."""

    def initialize(self, origins: Origins) -> None:
        self.origins = origins

    def get(self) -> None:
        self.finish(over_page(self, self.origins))


def over_page(handler: RequestHandler, origins: Origins) -> str:
    """Prepare the answer to a page that nobody may see, and return its text."""
    # A page that was opened without cookies can't be opened again by itself: the host asks for a new address then.
    spent = handler.get_query_argument(CODE_ARGUMENT, "")
    page = entry_page.failed("ticket-used" if spent else "session-over", origins.host)
    handler.set_status(401)
    entry_page.set_headers(handler, page)
    return page.html
