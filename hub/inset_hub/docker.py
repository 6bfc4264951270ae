"""The spawner of production on one machine: a container for each seat."""

from typing import Any

from dockerspawner import DockerSpawner
from traitlets import Integer, default

from inset_hub.readiness import until_answering


class DockerSeatSpawner(DockerSpawner):  # type: ignore[misc]  # ships no types
    """Runs a seat's server in a container that is removed, with all it holds, when it stops."""

    pids_limit = Integer(256, config=True, help="How many processes and threads a seat's container may have.")

    @default("remove")
    def _remove_default(self) -> bool:
        return True

    @default("use_internal_ip")
    def _use_internal_ip_default(self) -> bool:
        # The hub is on the containers' network, and no port of theirs is published.
        return True

    @default("extra_create_kwargs")
    def _extra_create_kwargs_default(self) -> dict[str, Any]:
        # SIGTERM comes first; the bridge gives its last flush 20 s.
        return {"stop_timeout": 30}

    @default("extra_host_config")
    def _extra_host_config_default(self) -> dict[str, Any]:
        # A notebook needs no power over its container; init buries what its kernels leave behind.
        return {
            "init": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "pids_limit": self.pids_limit,
        }

    async def start(self) -> tuple[str, int]:
        ip, port = await super().start()
        await until_answering(f"http://{ip}:{port}{self.server.base_url}api", exit_status=self._exit_status)
        return ip, port

    async def _exit_status(self) -> int | None:
        """DockerSpawner's poll answers None while running, else a text or 0."""
        return None if await self.poll() is None else 1
