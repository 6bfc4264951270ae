"""The spawner of production on one machine: a container for each seat."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from docker.errors import APIError
from dockerspawner import DockerSpawner
from traitlets import List, Unicode, default

from inset_hub import data_policy
from inset_hub.data_policy import DataPolicy
from inset_hub.leftovers import Leftover
from inset_hub.own_network import NO_RESOLVER, OwnNetwork
from inset_hub.profiles import Profile
from inset_hub.readiness import until_answering

_LOOK_SECONDS = 0.5


def create_kwargs(profile: Profile) -> dict[str, Any]:
    """Say what Docker's API calls the container's own configuration."""
    # SIGTERM comes first; the bridge gives its last flush 20 s.
    kwargs: dict[str, Any] = {"stop_timeout": 30, "user": profile.user}
    if _root_is_read_only(profile) and not profile.disk:
        # Nameless volumes: each begins as what the image has there, and goes with its container.
        kwargs["volumes"] = [profile.home, "/tmp"]
    return kwargs


def host_config(profile: Profile) -> dict[str, Any]:
    """Say what Docker's API calls the container's host configuration: what it may use, and no power at all."""
    # Seccomp's own profile is the engine's default, as long as nothing here names another; init buries what kernels
    # leave behind.
    config: dict[str, Any] = {
        "init": True,
        "privileged": False,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": profile.pids,
        "read_only": _root_is_read_only(profile),
    }
    if profile.memory:
        # As much with swap as without: none.
        config["memswap_limit"] = int(profile.memory)
    if profile.disk and profile.disk_by == "storage-opt":
        config["storage_opt"] = {"size": str(int(profile.disk))}
    elif profile.disk:
        uid, _, gid = profile.user.partition(":")
        config["tmpfs"] = {
            profile.home: f"exec,size={int(profile.disk)},uid={uid},gid={gid},mode=0700",
            "/tmp": f"exec,size={int(profile.disk)},mode=1777",
        }
    return config


def _root_is_read_only(profile: Profile) -> bool:
    # The engine's quota counts what is written into the container itself, and into nothing beside it.
    return profile.read_only and not (profile.disk and profile.disk_by == "storage-opt")


class DockerSeatSpawner(DockerSpawner):  # type: ignore[misc]  # ships no types
    """Runs a seat's server in a container that is removed, with all it holds, when it stops."""

    restricted_reach = List(
        Unicode(),
        config=True,
        help="What restricted servers reach, hub and service first: containers, or services of this Compose project.",
    )

    _pulling = False

    def docker(self, method: str, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Call the engine, and know while that fetches an image, which can take minutes."""
        call: asyncio.Future[Any] = super().docker(method, *args, **kwargs)
        if method == "pull":
            self._pulling = True
            call.add_done_callback(self._pulled)
        return call

    def _pulled(self, _: asyncio.Future[Any]) -> None:
        self._pulling = False

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Tell who follows the start also when the image is fetched, in the words of a cluster's events."""
        told = None
        while True:
            if self._pulling is not told:
                told = self._pulling
                yield {"progress": 50, "message": "Pulling image" if told else "Spawning server..."}
            await asyncio.sleep(_LOOK_SECONDS)

    @default("remove")
    def _remove_default(self) -> bool:
        return True

    @default("use_internal_ip")
    def _use_internal_ip_default(self) -> bool:
        # The hub is on the containers' network, and no port of theirs is published.
        return True

    def apply_profile(self, profile: Profile) -> None:
        """Make the next container one of this profile."""
        self.image, self.network_name = profile.image, profile.network
        self.mem_limit, self.cpu_limit = profile.memory, profile.cpu
        self.read_only_volumes = {mount.source: mount.target for mount in profile.mounts}
        self.extra_create_kwargs = create_kwargs(profile)
        self.extra_host_config = host_config(profile)

    def apply_data_policy(self, policy: DataPolicy) -> None:
        """Give the next container a network of its own where its data is restricted, whatever its profile names."""
        if policy != "restricted":
            return
        if not self.restricted_reach:
            raise data_policy.not_enforceable("INSET_DOCKER_RESTRICTED_REACH does not say how it reaches this hub")
        self.network_name = self.container_name
        self.extra_host_config = {**self.extra_host_config, "dns": [NO_RESOLVER]}

    @property
    def own_network(self) -> OwnNetwork | None:
        """The network of a restricted server; None of any other. Told from what a restarted hub still knows, too."""
        restricted = data_policy.of(self.user_options) == "restricted"
        return OwnNetwork(self.container_name, self.restricted_reach, self.docker) if restricted else None

    async def start(self) -> tuple[str, int]:
        if self.own_network:
            await self.own_network.open()
        leftover = await self.leftover()
        if leftover and leftover.running and leftover.server_id == self.user_options.get("server_id"):
            ip, port = await self._take_over(leftover)
        else:
            if leftover:
                await self.remove_leftover()
            ip, port = await super().start()
        await until_answering(f"http://{ip}:{port}{self.server.base_url}api", exit_status=self._exit_status)
        return ip, port

    async def poll(self) -> int | str | None:
        """Look whether the container runs, and connect to its network what was started anew meanwhile."""
        status: int | str | None = await super().poll()
        if status is None and self.own_network:
            try:
                await self.own_network.connect()
            except APIError as exc:
                # Away, as while it is replaced: the next look connects it.
                self.log.warning("Not everything is on the network of %s: %s", self.container_name, exc.explanation)
        return status

    async def stop(self, now: bool = False) -> None:
        """Stop and remove the container, and its network if that is its own."""
        network = self.own_network
        await super().stop(now)
        if network:
            await network.close()

    async def leftover(self) -> Leftover | None:
        """Find a container of this seat's name, whoever started it."""
        return await Leftover.find(self.container_name, self.docker)

    async def remove_leftover(self) -> None:
        """Stop what is left in this seat, and return when it is gone: until then its bridge sends what it owes."""
        leftover = await self.leftover()
        if leftover is None:
            return
        self.log.warning("Removing the container %s, which is no server of this hub", self.container_name)
        network = OwnNetwork(self.container_name, self.restricted_reach, self.docker) if leftover.own_network else None
        if network:
            # The service may be another container than the one it knew.
            await network.connect()
        await leftover.remove(self.docker)
        if network and not self.own_network:
            await network.close()

    async def _take_over(self, server: Leftover) -> tuple[str, int]:
        """Make a server that runs, and is the very one that is to be started, ours again, with what it owes."""
        self.log.warning("Taking over the container %s, which this hub did not remember", self.container_name)
        # JupyterHub makes a token good again that a spawner comes with.
        self.object_id, self.api_token = server.id, server.token
        ip, port = await self.get_ip_and_port()
        return ip, port

    async def _exit_status(self) -> int | None:
        """DockerSpawner's poll answers None while running, else a text or 0."""
        return None if await self.poll() is None else 1
