"""Why a session can fail: stable codes, with what a person should know and what helps."""

from inset.models import Failure

_REASONS = {
    "spawn-failed": (
        "The notebook server did not start",
        "JupyterHub gave up starting it. Open the notebook again; if that does not help, the hub's log says why.",
    ),
    "start-timeout": (
        "The notebook server took too long",
        "It did not become ready in time and was stopped. Open the notebook again in a moment.",
    ),
    "no-seat": (
        "All seats are taken",
        "As many people as there are seats have a notebook open, and none became free in time. "
        "Try again when somebody has finished.",
    ),
    "profile-full": (
        "No place of this kind became free",
        "As many servers of this profile run as may. Try again when somebody has finished, or choose another profile.",
    ),
    "server-died": (
        "The notebook server has stopped",
        "It ended unexpectedly. What Jupyter had saved is safe: open the notebook again.",
    ),
    "hub-unavailable": (
        "The notebook hub is not available",
        "It did not answer, although it was asked repeatedly. Your notebook is safe: try again in a few minutes.",
    ),
    "hub-busy": (
        "The notebook hub is busy",
        "It runs or starts as many servers as it can, and had no room in time. Try again in a few minutes.",
    ),
    "shared-origin": (
        "Notebooks are not kept apart here",
        "Its server has no origin of its own, so that other users' notebooks could read this one. "
        "Whoever runs the service finds out with `inset doctor`.",
    ),
    "policy-not-enforceable": (
        "Restricted data can't be kept inside here",
        "The notebook's data must not leave the platform, and where its server would run nothing could keep it inside. "
        "Whoever runs the hub finds the reason in its log.",
    ),
    "disk-full": (
        "The notebook server's disk is full",
        "There was no room for this notebook's file. Your notebook is safe: delete files in another one that is open "
        "there, or end those, and open it again.",
    ),
    "server-gone": (
        "The notebook server does not answer",
        "It started, and then did not take the notebook. Open the notebook again.",
    ),
}


def failure(code: str) -> Failure:
    """Describe why a session failed."""
    title, detail = _REASONS[code]
    return Failure(code=code, title=title, detail=detail)
