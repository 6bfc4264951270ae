"""What of Jupyter's interface is left away: what its user may not use, and what nobody can use in a frame."""

from collections.abc import Iterable
from typing import Any

from inset_bridge.policy import EVERYTHING

_PLUGINS = {
    "edit": ("@jupyter-notebook/notebook-extension:trusted",),
    "run": (
        "@jupyterlab/apputils-extension:kernel-status",
        "@jupyterlab/apputils-extension:running-sessions-status",
        "@jupyterlab/console-extension:kernel-status",
        "@jupyterlab/debugger-extension",
        "@jupyterlab/notebook-extension:kernel-status",
        "@jupyterlab/running-extension",
    ),
    "download": (
        "@jupyterlab/docmanager-extension:download",
        "@jupyterlab/filebrowser-extension:download",
        "@jupyterlab/notebook-extension:export",
    ),
    "terminals": ("@jupyterlab/terminal-extension", "@jupyter-notebook/terminal-extension"),
}
"""Plugins that do nothing but offer it. What other plugins offer, the page extension takes out by command."""
_FOR_EVERYTHING = ("@jupyterlab/extensionmanager-extension", "@jupyterlab/pluginmanager-extension")
"""Plugins that change the server itself."""
_FOR_NOTHING = (
    "@jupyterlab/apputils-extension:announcements",
    # Language servers, of which the image has none: each page would ask for them.
    "@jupyterlab/fileeditor-extension:language-server",
    "@jupyterlab/lsp-extension",
    "@jupyterlab/notebook-extension:language-server",
)
_EXTENSIONS_FOR_NOTHING = frozenset(
    {
        # Leads from Notebook to JupyterLab and back, in a tab of its own, which a frame's cookies don't follow.
        "@jupyter-notebook/lab-extension",
        # The service's, where both share one environment. Turned off, it would still be fetched.
        "nbdime-jupyterlab",
    }
)


def plugins_left_away(may: frozenset[str]) -> list[str]:
    left_away = [plugin for needed, plugins in _PLUGINS.items() if needed not in may for plugin in plugins]
    left_away += _FOR_NOTHING
    return left_away if may >= EVERYTHING else [*left_away, *_FOR_EVERYTHING]


def extensions_left(federated: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the extensions that a page fetches: those of `federated` that are of use in it."""
    return [one for one in federated if one["name"] not in _EXTENSIONS_FOR_NOTHING]
