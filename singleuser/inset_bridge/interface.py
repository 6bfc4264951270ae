"""What of Jupyter's interface is left away, because its user may not use it."""

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


def plugins_left_away(may: frozenset[str]) -> list[str]:
    left_away = [plugin for needed, plugins in _PLUGINS.items() if needed not in may for plugin in plugins]
    return left_away if may >= EVERYTHING else [*left_away, *_FOR_EVERYTHING]
