"""A container with a seat's name that the hub did not start, or does not remember."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError


@dataclass(frozen=True)
class Leftover:
    """Such a container. `docker` calls the engine by a method's name."""

    id: str
    name: str
    running: bool
    server_id: str
    token: str
    """By which its server calls the hub."""
    own_network: bool

    @classmethod
    async def find(cls, name: str, docker: Callable[..., Awaitable[Any]]) -> "Leftover | None":
        """Ask the engine for a container of this name."""
        try:
            container = await docker("inspect_container", name)
        except APIError as exc:
            if exc.status_code != 404:
                raise
            return None
        told = dict(variable.split("=", 1) for variable in container["Config"]["Env"] or [] if "=" in variable)
        return cls(
            id=container["Id"],
            name=name,
            running=bool(container["State"]["Running"]),
            server_id=told.get("INSET_SERVER_ID", ""),
            token=told.get("JUPYTERHUB_API_TOKEN", ""),
            own_network=name in (container["NetworkSettings"]["Networks"] or {}),
        )

    async def remove(self, docker: Callable[..., Awaitable[Any]]) -> None:
        """Stop it as every server is stopped, and return when it is gone."""
        # By its id: a start of this seat may give the name to another one meanwhile.
        for call, options in (("stop", {}), ("remove_container", {"v": True})):
            try:
                await docker(call, self.id, **options)
            except APIError as exc:
                if exc.status_code not in (404, 409):  # gone, or going by itself
                    raise
        while (found := await Leftover.find(self.name, docker)) and found.id == self.id:
            await asyncio.sleep(0.2)
