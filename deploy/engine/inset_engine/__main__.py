"""Run it: `python -m inset_engine`, on port 2375, for the hub alone."""

import logging
import os
from pathlib import Path

from aiohttp import web

from inset_engine.bodies import Seats
from inset_engine.proxy import create_app
from inset_engine.services import SeatServices
from inset_engine.swarm import create_swarm_app


def main() -> None:
    """Read what the seats may be from the environment, and serve: services of a Swarm if it names their network."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    socket = Path(os.environ.get("INSET_DOCKER_SOCKET", "/var/run/docker.sock"))
    app = _swarm(socket) if "INSET_SWARM_NETWORK" in os.environ else _one_machine(socket)
    web.run_app(app, port=2375, access_log=None, print=None, shutdown_timeout=5)


def _one_machine(socket: Path) -> web.Application:
    network = os.environ["INSET_DOCKER_NETWORK"]
    seats = Seats(
        network=network,
        # As `hub/jupyterhub_config.py` has it.
        prefix=network,
        images=frozenset(os.environ["INSET_DOCKER_IMAGES"].split()),
        reach=frozenset(os.environ.get("INSET_DOCKER_RESTRICTED_REACH", "").split()),
        volumes=frozenset(os.environ.get("INSET_DOCKER_VOLUMES", "").split()),
    )
    return create_app(seats, socket)


def _swarm(socket: Path) -> web.Application:
    placement = os.environ.get("INSET_SWARM_PLACEMENT", "")
    seats = SeatServices(
        network=os.environ["INSET_SWARM_NETWORK"],
        images=frozenset(os.environ["INSET_SWARM_IMAGES"].split()),
        volumes=frozenset(os.environ.get("INSET_SWARM_VOLUMES", "").split()),
        placement=tuple(placement.split(",")) if placement else (),
        restricted_networks=os.environ.get("INSET_SWARM_RESTRICTED_NETWORKS", ""),
    )
    return create_swarm_app(seats, socket)


if __name__ == "__main__":
    main()
