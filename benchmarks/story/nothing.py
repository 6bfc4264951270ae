"""A spawner that starts nothing: all its servers are one process that says yes to everything.

What is left of a story then is the hub's share and the service's.
"""

import os
import sys
from typing import Any

from jupyterhub.spawner import Spawner
from tornado import ioloop, web


class NothingSpawner(Spawner):  # type: ignore[misc]  # ships no types
    """Answers at once with the address of what runs already."""

    _started = False

    def apply_profile(self, profile: Any) -> None:
        """Keep to none."""

    def apply_data_policy(self, policy: Any) -> None:
        """Keep to none."""

    async def start(self) -> tuple[str, int]:
        self._started = True
        self.log.info("starting nothing for %s", self.user_options.get("server_id"))
        return "127.0.0.1", int(os.environ["BENCH_NOTHING_PORT"])

    async def poll(self) -> int | None:
        return None if self._started else 0

    async def stop(self, now: bool = False) -> None:
        self._started = False
        self.log.info("stopping nothing for %s", self.user_options.get("server_id"))


class _Yes(web.RequestHandler):
    def get(self) -> None:
        self.finish({"version": "0"})

    def put(self) -> None:
        self.finish({"path": "work/n/n.ipynb", "bridge": "0", "protocol": 1})

    def delete(self) -> None:
        self.set_status(404)
        self.finish({"code": "unknown-document"})


if __name__ == "__main__":
    web.Application([(r".*", _Yes)], log_function=lambda handler: None).listen(int(sys.argv[1]), "127.0.0.1")
    ioloop.IOLoop.current().start()
