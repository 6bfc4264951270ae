"""Run it: `python -m inset_engine`, on port 2375, for the hub alone."""

import logging
import os
from pathlib import Path

from aiohttp import web

from inset_engine.bodies import Seats
from inset_engine.proxy import create_app


def main() -> None:
    """Read what the seats may be from the environment, and serve."""
    network = os.environ["INSET_DOCKER_NETWORK"]
    seats = Seats(
        network=network,
        # As `hub/jupyterhub_config.py` has it.
        prefix=network,
        images=frozenset(os.environ["INSET_DOCKER_IMAGES"].split()),
        reach=frozenset(os.environ.get("INSET_DOCKER_RESTRICTED_REACH", "").split()),
        volumes=frozenset(os.environ.get("INSET_DOCKER_VOLUMES", "").split()),
    )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    socket = Path(os.environ.get("INSET_DOCKER_SOCKET", "/var/run/docker.sock"))
    web.run_app(create_app(seats, socket), port=2375, access_log=None, print=None, shutdown_timeout=5)


if __name__ == "__main__":
    main()
