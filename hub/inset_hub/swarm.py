"""The spawner of a Docker Swarm: a service of one task for each seat, on whichever machine has room."""

import asyncio
from collections.abc import Mapping
from typing import Any

from docker.errors import APIError
from docker.types import DriverConfig, Mount, Resources, RestartPolicy
from dockerspawner import SwarmSpawner
from traitlets import Unicode, default

from inset_hub import data_policy
from inset_hub.data_policy import DataPolicy
from inset_hub.own_network import NO_RESOLVER
from inset_hub.profiles import Profile
from inset_hub.readiness import until_answering

GRACE_SECONDS = 30
"""SIGTERM comes first; the bridge gives its last flush 20 s."""

VOLUME_LABEL = "inset.seat"

_ENDED = {"complete", "failed", "shutdown", "rejected", "orphaned", "remove"}
_SECOND = 10**9


def require_keepable(profiles: Mapping[str, Profile]) -> None:
    """Refuse a quota of the engine's, which no service can be given: raises ValueError."""
    for name, profile in profiles.items():
        if profile.disk and profile.disk_by == "storage-opt":
            raise ValueError(f"profiles.{name}: a Swarm bounds disk by 'tmpfs' only")


def mounts(profile: Profile) -> list[Mount]:
    """Give what may be written to, and data to read."""
    places = [profile.home, "/tmp"] if profile.disk or profile.read_only else []
    # Nameless: each begins as what the image has there, and goes with its container.
    own = [Mount(place, None, type="volume", **_bound(profile)) for place in places]
    data = [
        Mount(mount.target, mount.source, type="bind" if "/" in mount.source else "volume", read_only=True)
        for mount in profile.mounts
    ]
    return own + data


def _bound(profile: Profile) -> dict[str, Any]:
    """Make a volume one in memory, if what it holds is bounded: a mount of that kind would have root for its owner.

    The engine makes such a volume twice and uses one: the label is for removing what it leaves, which is empty.
    """
    if not profile.disk:
        return {}
    uid, _, gid = profile.user.partition(":")
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={int(profile.disk)},uid={uid},gid={gid},mode=0700"}
    return {"driver_config": DriverConfig("local", options), "labels": {VOLUME_LABEL: "1"}}


def container_spec(profile: Profile) -> dict[str, Any]:
    """Say what a Swarm calls a task's container: no power at all. Seccomp's profile is the engines' default."""
    return {
        "user": profile.user,
        "init": True,
        "read_only": profile.read_only,
        "cap_drop": ["ALL"],
        # Engines before 25 know it not and pass over it: `get_command` sees to it there.
        "privileges": {"NoNewPrivileges": True},
        "stop_grace_period": GRACE_SECONDS * _SECOND,
    }


def resources(profile: Profile) -> Resources:
    """Say how much of a machine a task may use."""
    # A Swarm places by what is reserved: nothing is, since what nobody uses is everybody's, but for memory.
    cpu, memory = profile.cpu and int(profile.cpu * _SECOND), profile.memory and int(profile.memory)
    made = Resources(cpu_limit=cpu, mem_limit=memory, mem_reservation=memory)
    made["Limits"] = {**made.get("Limits", {}), "Pids": profile.pids}
    return made


class SwarmSeatSpawner(SwarmSpawner):  # type: ignore[misc]  # ships no types
    """Runs a seat's server in a service that is removed, with all its container holds, when it stops."""

    restricted_networks = Unicode(
        config=True,
        help="What the names of restricted seats' networks begin with: `inset-restricted` for "
        "`inset-restricted-seat-001`. Hub and service are on each of them, and nobody else.",
    )

    _mounts: tuple[Mount, ...] = ()

    @default("extra_endpoint_spec")
    def _extra_endpoint_spec_default(self) -> dict[str, str]:
        # One task needs no balancer, and no address beside its own.
        return {"mode": "dnsrr"}

    @property
    def mounts(self) -> list[Mount]:
        return list(self._mounts)

    def apply_profile(self, profile: Profile) -> None:
        """Make the next service one of this profile."""
        self.image, self.network_name = profile.image, profile.network
        self._mounts = tuple(mounts(profile))
        self.extra_container_spec = container_spec(profile)
        # A server that died is not started again: what it had not saved is gone, and its session has to say so.
        self.extra_task_spec = {"resources": resources(profile), "restart_policy": RestartPolicy("none")}

    def apply_data_policy(self, policy: DataPolicy) -> None:
        """Put the next server on its seat's own network where its data is restricted, whatever its profile names."""
        if policy != "restricted":
            return
        if not self.restricted_networks:
            raise data_policy.not_enforceable("INSET_SWARM_RESTRICTED_NETWORKS names no network that leads nowhere")
        self.network_name = f"{self.restricted_networks}-{self.user.name}"
        self.extra_container_spec = {**self.extra_container_spec, "dns_config": {"Nameservers": [NO_RESOLVER]}}

    def get_env(self) -> dict[str, str]:
        """Give the environment as it was meant: a Swarm fills in {{…}}, whoever wrote it."""
        return {name: str(value).replace("{{", '{{"{{"}}') for name, value in super().get_env().items()}

    async def get_command(self) -> list[str]:
        """Give up new privileges before anything else runs, since older engines can't be asked to see to it."""
        return ["setpriv", "--no-new-privs", *await super().get_command()]

    async def start(self) -> tuple[str, int]:
        if data_policy.of(self.user_options) == "restricted":
            await self._require_internal_network()
        ip, port = await super().start()
        await until_answering(f"http://{ip}:{port}{self.server.base_url}api", exit_status=self._exit_status)
        return ip, port

    async def start_object(self) -> None:
        """Return when the task runs. Raises RuntimeError with the engine's reason for one that never will."""
        while True:
            if (ended := await self._ended()) is not None:
                raise RuntimeError(f"The service {self.service_name} does not run: {ended}")
            if any(task["Status"]["State"] == "running" for task in await self._tasks()):
                return
            await asyncio.sleep(0.1)

    async def get_ip_and_port(self) -> tuple[str, int]:
        """Give the task's own address: it is known here at once, and by its name a moment later."""
        [task] = await self._tasks()
        attached = {one["Network"]["Spec"]["Name"]: one["Addresses"] for one in task["NetworksAttachments"]}
        return attached[self.network_name][0].partition("/")[0], self.port

    async def poll(self) -> int | str | None:
        """Look whether the task runs or is about to. The service of one that ended is removed: it would stay."""
        ended = await self._ended()
        if ended is not None and self.object_id:
            self.log.warning("Removing the service %s: %s", self.service_name, ended)
            await self._remove_service()
        return ended

    async def get_object(self) -> dict[str, Any] | None:
        """Find the service. Only what the managers know nothing of is gone: any other answer says nothing about it."""
        try:
            service: dict[str, Any] = await self.docker("inspect_service", self.service_name)
        except APIError as exc:
            if exc.status_code != 404:
                raise
            self.object_id = ""
            return None
        self.object_id = service["ID"]
        return service

    async def remove_object(self) -> None:
        """Remove the service, and return when its container has ended: until then it brings the last saves home."""
        await self._remove_service()
        deadline = asyncio.get_running_loop().time() + GRACE_SECONDS + 15
        while await self.docker("tasks", filters={"name": f"{self.service_name}."}):
            if asyncio.get_running_loop().time() > deadline:
                # As on a machine that is away. Its managers end it when it is back.
                self.log.warning("The task of %s has not been seen to end", self.service_name)
                return
            await asyncio.sleep(0.2)

    async def _remove_service(self) -> None:
        try:
            await self.docker("remove_service", self.object_id)
        except APIError as exc:
            if exc.status_code != 404:
                raise

    async def _ended(self) -> int | str | None:
        """Tell how the server ended; None if it did not."""
        if await self.get_object() is None:
            return 0
        tasks = await self._tasks()
        # What ran on a machine that is away is still said to run, but no longer wanted.
        going = [t for t in tasks if t["Status"]["State"] not in _ENDED and t["DesiredState"] not in _ENDED]
        if going or not tasks:
            return None
        status = tasks[0]["Status"]
        return f"{status['State']}: {status.get('Err') or status.get('Message', '')}"

    async def _tasks(self) -> list[dict[str, Any]]:
        """Give this service's tasks; one before it of the same name may still be on its way out."""
        found = await self.docker("tasks", filters={"name": f"{self.service_name}."})
        return [task for task in found if task["ServiceID"] == self.object_id]

    async def _require_internal_network(self) -> None:
        try:
            network = await self.docker("inspect_network", self.network_name)
        except APIError as exc:
            if exc.status_code != 404:
                raise
            raise data_policy.not_enforceable(f"there is no network {self.network_name}") from None
        if not network["Internal"] or network["Driver"] != "overlay":
            raise data_policy.not_enforceable(f"the network {self.network_name} is no internal overlay")

    async def _exit_status(self) -> int | None:
        return None if await self.poll() is None else 1
