"""The spawner of production on one machine: a container for each seat."""

from typing import Any

from dockerspawner import DockerSpawner
from traitlets import default

from inset_hub.profiles import Profile
from inset_hub.readiness import until_answering


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

    async def start(self) -> tuple[str, int]:
        ip, port = await super().start()
        await until_answering(f"http://{ip}:{port}{self.server.base_url}api", exit_status=self._exit_status)
        return ip, port

    async def _exit_status(self) -> int | None:
        """DockerSpawner's poll answers None while running, else a text or 0."""
        return None if await self.poll() is None else 1
