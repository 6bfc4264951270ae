"""Inset's save bridge: a single-user server that is entered by tickets and sends every save to the service."""

from typing import Any

__version__ = "0.1.0"


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    # Imported late: this package is also imported by tools that have no hub around them.
    from inset_bridge.app import BridgeSingleUser

    return [{"module": "inset_bridge.app", "app": BridgeSingleUser}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "inset-bridge"}]
