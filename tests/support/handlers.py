"""Every handler of a notebook server's web application, read from the application itself.

`python -m tests.support.handlers` prints them as JSON. It needs a process of its own: Jupyter's applications are
singletons, and they read the environment.
"""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support.real_hub import ROOT

PREFIX = "/user/seat/"


@dataclass(frozen=True)
class Handler:
    path: str
    """The pattern of its paths, as tornado has it, without the server's prefix."""
    methods: list[str]
    checked: bool
    """Whether it asks the identity provider who comes, as every handler of Jupyter's own kind does."""


def handlers_of(folder: Path) -> list[Handler]:
    """Start an application in a process of its own, with `folder` for its home, and list what it would serve."""
    env = {
        **os.environ,
        "HOME": str(folder),
        "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_API_URL": "http://127.0.0.1:1/hub/api",
        "JUPYTERHUB_API_TOKEN": "not-a-token",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-seat",
        "JUPYTERHUB_USER": "seat",
        "INSET_SERVICE_URL": "http://127.0.0.1:1",
        "INSET_MAY": "edit run download terminals",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.support.handlers"]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    return [Handler(**one) for one in json.loads(done.stdout.splitlines()[-1])]


def _main() -> None:
    from inset_bridge.app import BridgeSingleUser

    # There is no hub, and nothing is served.
    BridgeSingleUser.check_hub_version = lambda app: asyncio.sleep(0)
    app = BridgeSingleUser.initialize_server(argv=["--allow-root"])
    print(json.dumps([asdict(one) for one in _listed(app.web_app.default_router)]))


def _listed(router: Any) -> list[Handler]:
    from jupyter_server.base.handlers import JupyterHandler
    from tornado.web import RequestHandler

    found = []
    for rule in router.rules:
        if hasattr(rule.target, "rules"):
            found += _listed(rule.target)
            continue
        methods = [
            method
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
            if getattr(rule.target, method.lower()) is not getattr(RequestHandler, method.lower())
        ]
        pattern = getattr(rule.matcher, "regex", None)
        path = pattern.pattern.removeprefix(PREFIX).removesuffix("$") if pattern else "(.*)"
        found.append(Handler(path, methods, issubclass(rule.target, JupyterHandler)))
    return found


if __name__ == "__main__":
    _main()
