"""Holds browsers to what their user may do, whichever handler they ask."""

from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.base.handlers import JupyterHandler

from inset_bridge.entries import Entry
from inset_bridge.policy import is_own, judge


class CapabilityAuthorizer(Authorizer):
    """By method and path, not by Jupyter's resources: half of its handlers name none.

    The service's own calls come with a hub token and without a browser's entry. They are not bound.
    """

    async def is_authorized(self, handler: JupyterHandler, user: Any, action: str, resource: str) -> bool:
        identity: Any = self.identity_provider
        entry: Entry | None = identity.hub_auth.presented(handler).entry
        if entry is None:
            return True
        method = handler.request.method or ""
        path = handler.request.path.removeprefix(identity.settings.prefix)
        identity.activity.requested(method, path)
        verdict = judge(method, path, identity.settings.may)
        return verdict.allowed or any([await self._own(handler, entry, path) for path in verdict.own])

    async def _own(self, handler: JupyterHandler, entry: Entry, path: str) -> bool:
        """Whether a file that is asked for is the entry's own, and stays so if it is renamed."""
        notebook_ids = {grant.notebook_id for grant in entry.grants.values()}
        contents: Any = handler.contents_manager  # its methods have no types
        if handler.request.method in ("GET", "HEAD") and await ensure_async(contents.dir_exists(path)):
            return True
        paths = [path]
        if handler.request.method == "PATCH":
            body = handler.get_json_body()
            paths.append(str(body.get("path", "")) if isinstance(body, dict) else "")
        return all(is_own(one, notebook_ids) for one in paths)
