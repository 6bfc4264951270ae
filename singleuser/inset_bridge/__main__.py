"""`python -m inset_bridge`: what the hub's spawner runs in place of `jupyterhub-singleuser`."""

import logging
import os
import sys

from inset_bridge.imports import uncollected, without_the_hub, without_yarn

if __name__ == "__main__":
    # httpx takes itself for one without a command line, whose libraries nothing here uses.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    with uncollected(), without_the_hub():
        without_yarn()
        from inset_bridge.app import BridgeSingleUser

    BridgeSingleUser.launch_instance()
    # All is sent and closed. What is left are threads that wait for more to do, as anyio's where a request was broken
    # off by the end. Python would wait for them until the spawner kills it, and that looks like a crash.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
