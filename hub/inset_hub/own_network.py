"""A network of a restricted server's own: no way out, no neighbour, and of the platform only what is listed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from docker.errors import APIError

INHIBIT = "com.docker.network.bridge.inhibit_ipv4"
OPTIONS = {INHIBIT: "true"}
"""The machine itself gets no address on it: what listens there on all addresses would else be a neighbour."""

NO_RESOLVER = "127.0.0.1"
"""Where the engine's resolver is told to pass names on that it does not know: to the container itself, where nobody
listens. It would else ask the machine's own resolver, internal network or not, and names carry data out."""

_PATIENCE = 25
"""How often, five times a second, a network is asked to go that its container has not left yet."""


class OwnNetwork:
    """One server's, named as its container is. `docker` calls the engine by a method's name."""

    def __init__(self, name: str, reach: Sequence[str], docker: Callable[..., Awaitable[Any]]) -> None:
        self._name = name
        self._reach = reach
        self._docker = docker

    async def open(self) -> None:
        """Make it, or take what a hub that was killed has left of it, and connect what is listed."""
        try:
            found = await self._docker("inspect_network", self._name)
        except APIError as exc:
            if exc.status_code != 404:
                raise
            await self._docker(
                "create_network", self._name, driver="bridge", options=OPTIONS, internal=True, check_duplicate=True
            )
        else:
            if not found["Internal"] or found["Options"].get(INHIBIT) != "true":
                raise RuntimeError(f"The network {self._name} is there, and is none of a restricted server")
        await self.connect()

    async def connect(self) -> None:
        """Connect what is listed and is not: a part whose container was made anew is on no such network."""
        for part in self._reach:
            try:
                await self._docker("connect_container_to_network", part, self._name, aliases=[part])
            except APIError as exc:
                if "already exists" not in str(exc.explanation):
                    raise

    async def close(self) -> None:
        """Remove it. What can't be removed stays without a way out, and is taken by the seat's next such server."""
        for part in self._reach:
            try:
                await self._docker("disconnect_container_from_network", part, self._name)
            except APIError:
                continue  # gone, or never there
        for _ in range(_PATIENCE):
            try:
                return await self._docker("remove_network", self._name)  # type: ignore[no-any-return]
            except APIError as exc:
                if exc.status_code == 404:
                    return
            await asyncio.sleep(0.2)
