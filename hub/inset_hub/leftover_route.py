"""The hub's route to containers of seats that it knows nothing of any more, as after its own database was lost.

`GET /hub/api/users/<seat>/leftover` says which server one is, and `DELETE` has it stopped: `inset sweep` asks both. The
hub alone can tell: it knows which of its servers are live, and no start begins unseen between its look and its act.
"""

import asyncio
import json
from typing import Any, ClassVar

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.scopes import needs_scope
from tornado import web


class LeftoverHandler(APIHandler):  # type: ignore[misc]  # ships no types
    """One seat's. 404 where there is none, and where a server of this hub's is in the seat."""

    _under_way: ClassVar[set[asyncio.Task[None]]] = set()  # nobody else holds them

    @needs_scope("read:servers")  # type: ignore[untyped-decorator]
    async def get(self, user_name: str) -> None:
        """Say which server it is: the id that the service gave it, or the empty text."""
        spawner = self._idle_spawner(user_name)
        leftover = await spawner.leftover()
        if leftover is None:
            raise web.HTTPError(404)
        self.write(json.dumps({"server_id": leftover.server_id}))

    @needs_scope("delete:servers")  # type: ignore[untyped-decorator]
    async def delete(self, user_name: str) -> None:
        """Have it stopped as every server is: its bridge sends what it owes. That takes half a minute at the most."""
        stopping = asyncio.create_task(self._idle_spawner(user_name).remove_leftover())
        self._under_way.add(stopping)
        stopping.add_done_callback(self._under_way.discard)
        self.set_status(202)

    def _idle_spawner(self, user_name: str) -> Any:
        user = self.find_user(user_name)
        if user is None or user.spawners[""].active:
            raise web.HTTPError(404)
        return user.spawners[""]


HANDLERS = [(r"/api/users/([^/]+)/leftover", LeftoverHandler)]
"""For `c.JupyterHub.extra_handlers`."""
