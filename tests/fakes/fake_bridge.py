"""The save bridge's `inset/api/flush` in a plain Jupyter server, with versions that live in memory.

A Jupyter server extension. `inset/fake` is for tests: GET lists the flushes, PUT sets what is answered next,
POST emits one of the bridge's events to the pages.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from tornado import web

SCHEMA_ID = "https://inset/bridge/v1"
SCHEMA = {
    "$id": SCHEMA_ID,
    "version": "1",
    "type": "object",
    "properties": {"action": {"type": "string"}, "path": {"type": "string"}, "request": {"type": "string"}},
}


class FakeBridge:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.flushes: list[dict[str, Any]] = []
        self.versions: dict[str, list[str]] = {}
        """The hashes of each path's versions."""
        self.refusal: dict[str, Any] = {}

    def flush(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.flushes.append(asked)
        sha256 = hashlib.sha256((self.root / asked["path"]).read_bytes()).hexdigest()
        versions = self.versions.setdefault(asked["path"], [])
        if versions[-1:] != [sha256]:
            versions.append(sha256)
        return {"version": len(versions), "sha256": sha256, "flushed": True, "path": asked["path"]}


class FlushHandler(JupyterHandler):
    @web.authenticated
    def post(self) -> None:
        bridge: FakeBridge = self.settings["fake_bridge"]
        if bridge.refusal:
            self.set_status(bridge.refusal["status"])
            self.finish(bridge.refusal["body"])
        else:
            self.finish(bridge.flush(json.loads(self.request.body)))


class LeaveHandler(JupyterHandler):
    @web.authenticated
    def post(self) -> None:
        """What the real one does where no other page saved meanwhile."""
        asked = json.loads(self.request.body)
        (self.settings["fake_bridge"].root / asked["path"]).write_text(json.dumps(asked["content"]), encoding="utf-8")
        self.set_status(204)


class ControlHandler(JupyterHandler):
    @web.authenticated
    def get(self) -> None:
        self.finish({"flushes": self.settings["fake_bridge"].flushes})

    @web.authenticated
    def put(self) -> None:
        self.settings["fake_bridge"].refusal = json.loads(self.request.body)
        self.set_status(204)

    @web.authenticated
    def post(self) -> None:
        self.event_logger.emit(schema_id=SCHEMA_ID, data=json.loads(self.request.body))
        self.set_status(204)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "tests.fakes.fake_bridge"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    serverapp.event_logger.register_event_schema(SCHEMA)
    serverapp.web_app.settings["fake_bridge"] = FakeBridge(Path(serverapp.root_dir))
    base = serverapp.base_url
    handlers = [
        (f"{base}inset/api/flush", FlushHandler),
        (f"{base}inset/api/leave", LeaveHandler),
        (f"{base}inset/fake", ControlHandler),
    ]
    serverapp.web_app.add_handlers(".*$", handlers)
