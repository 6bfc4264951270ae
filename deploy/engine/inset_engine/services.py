"""What a seat's service may be in a Swarm: the body of `POST /services/create`, by a list of what it may say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inset_engine.checks import (
    FOLDER,
    NO_RESOLVER,
    NOBODY,
    Check,
    Refused,
    copied,
    exactly,
    is_mapping,
    mapping,
    matches,
    needed,
    texts,
    up_to,
)

NO_NEW_PRIVILEGES = ["setpriv", "--no-new-privs"]
"""What each command begins with: engines before 25 can't be asked to see to it."""

_BOUND = re.compile(r"size=[1-9][0-9]{0,12},uid=[1-9][0-9]{0,8},gid=[1-9][0-9]{0,8},mode=0700")


@dataclass(frozen=True)
class SeatServices:
    """The services that the hub may have."""

    network: str
    """The one network they join, unless their seat has one of its own. Their names begin with it, too."""
    images: frozenset[str]
    """What they may be made of, as the hub names it."""
    volumes: frozenset[str] = frozenset()
    """The engines' own volumes that they may read. No folder of a machine is ever one."""
    placement: tuple[str, ...] = ()
    """What a machine has to fulfil that runs them."""
    restricted_networks: str = ""
    """What the names of the seats' own networks begin with; there are none without it."""
    writable: frozenset[str] = frozenset({"/home/notebook", "/tmp"})
    """Where a container may have a nameless volume."""

    def seat(self, name: str) -> str:
        """Name the seat that a service of this name is of; DockerSpawner writes `seat-001` as `seat-2d001`.

        Raises `Refused` for any other name.
        """
        told = re.fullmatch(rf"{re.escape(self.network)}-seat-(?:2d)?([0-9]{{3,4}})", name)
        if not told:
            raise Refused(f"the name {name!r}")
        return f"seat-{told[1]}"

    def own_network(self, name: str) -> bool:
        """Tell whether a network of this name is one of the seats' own."""
        pattern = rf"{re.escape(self.restricted_networks)}-seat-[0-9]{{3,4}}"
        return bool(self.restricted_networks and re.fullmatch(pattern, name))

    def body(self, asked: Any) -> dict[str, Any]:
        """Make the body that the engine is given for a service. Raises `Refused`."""
        body = copied(mapping(asked, "the body"), _SERVICE, "")
        task = needed(body, "", ("Name", "TaskTemplate", "EndpointSpec"))["TaskTemplate"]
        task = copied(mapping(task, "TaskTemplate"), self._task(self.seat(body["Name"])), "TaskTemplate.")
        needed(task, "TaskTemplate.", ("ContainerSpec", "Resources", "RestartPolicy", "Networks"))
        container = copied(task["ContainerSpec"], self._container, "ContainerSpec.")
        needed(container, "ContainerSpec.", ("Image", "Args", "CapabilityDrop", "Privileges"))
        resources = copied(task["Resources"], _RESOURCES, "Resources.")
        limits = copied(mapping(resources.get("Limits"), "Limits"), _LIMITS, "Limits.")
        needed(limits, "Limits.", ("MemoryBytes", "Pids"))
        reserved = copied(resources.get("Reservations") or {}, _LIMITS, "Reservations.")
        if task["Networks"] != [{"Target": self.network}] and "DNSConfig" not in container:
            raise Refused("a network of its own with a resolver")
        if task.get("Placement", {}).get("Constraints", []) != list(self.placement):
            raise Refused("Placement")
        container["Mounts"] = [self._mount(mount) for mount in container.get("Mounts", [])]
        return {
            **body,
            "TaskTemplate": {
                **task,
                "ContainerSpec": container,
                "Resources": {"Limits": limits, "Reservations": reserved},
                "RestartPolicy": {"Condition": "none"},
                "Placement": {"Constraints": list(self.placement)},
            },
        }

    def _task(self, seat: str) -> Mapping[str, Check]:
        networks = [self.network, *([f"{self.restricted_networks}-{seat}"] if self.restricted_networks else [])]
        return {
            "ContainerSpec": is_mapping,
            "Resources": is_mapping,
            "RestartPolicy": lambda policy: is_mapping(policy) and policy.get("Condition") == "none",
            "Networks": lambda value: value in [[{"Target": network}] for network in networks],
            "Placement": lambda value: is_mapping(value) and set(value) <= {"Constraints"},
        }

    @property
    def _container(self) -> Mapping[str, Check]:
        return {
            "Image": lambda image: isinstance(image, str) and image in self.images,
            "User": matches(NOBODY),
            "Args": lambda words: texts(words) and words[:2] == NO_NEW_PRIVILEGES,
            "Env": texts,
            "Init": exactly(True),
            "ReadOnly": exactly(True),
            "CapabilityDrop": exactly(["ALL"]),
            "Privileges": exactly({"NoNewPrivileges": True}),
            "StopGracePeriod": up_to(600 * 10**9),
            "DNSConfig": exactly({"Nameservers": [NO_RESOLVER]}),
            "Mounts": lambda mounts: isinstance(mounts, list),
        }

    def _mount(self, asked: Any) -> dict[str, Any]:
        mount = copied(mapping(asked, "Mounts"), _MOUNT, "Mounts.")
        source, target = mount.get("Source"), mount.get("Target")
        own = target in self.writable
        data = source in self.volumes and mount.get("ReadOnly") is True
        nameless = own and set(mount) == {"Type", "Target"}
        bounded = own and set(mount) == {"Type", "Target", "VolumeOptions"}
        if "Type" not in mount or not target or not (data or nameless or bounded):
            raise Refused("Mounts")
        if bounded:
            mount["VolumeOptions"] = _in_memory(mount["VolumeOptions"])
        return mount


def _in_memory(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read the options of a volume in memory: a volume of any other kind can be a folder of the machine."""
    driver = mapping(asked.get("DriverConfig"), "DriverConfig")
    options = mapping(driver.get("Options"), "DriverConfig.Options")
    bound = options.get("o")
    made = {"type": "tmpfs", "device": "tmpfs", "o": bound}
    if driver.get("Name") != "local" or options != made or not matches(_BOUND)(bound):
        raise Refused("VolumeOptions")
    labels = {"inset.seat": "1"}
    return {"DriverConfig": {"Name": "local", "Options": made}, "Labels": labels}


_SERVICE: Mapping[str, Check] = {
    "Name": lambda name: isinstance(name, str),
    "TaskTemplate": is_mapping,
    "EndpointSpec": exactly({"Mode": "dnsrr"}),
}
_RESOURCES: Mapping[str, Check] = {"Limits": is_mapping, "Reservations": is_mapping}
_LIMITS: Mapping[str, Check] = {
    "NanoCPUs": up_to(1 << 40),
    "MemoryBytes": up_to(1 << 50),
    "Pids": up_to(1 << 22),
}
_MOUNT: Mapping[str, Check] = {
    "Type": exactly("volume"),
    "Source": lambda source: isinstance(source, str),
    "Target": matches(FOLDER),
    "ReadOnly": exactly(True),
    "VolumeOptions": is_mapping,
}
