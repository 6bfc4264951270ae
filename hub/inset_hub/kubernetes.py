"""The spawner of a cluster: a pod for each seat, in a namespace that holds nothing else."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from kubespawner import KubeSpawner
from traitlets import List, Unicode, default

from inset_hub import data_policy
from inset_hub.data_policy import DataPolicy
from inset_hub.own_network import NO_RESOLVER
from inset_hub.profiles import Profile
from inset_hub.readiness import until_answering

NOT_KEPT = ("network", "pids")
"""Networks are chosen by the pod's labels, processes counted by the kubelet (`podPidsLimit`)."""

POLICY_LABEL = "inset/data-policy"
"""What the NetworkPolicies go by."""

SERVER_ANNOTATION = "inset/server-id"

GRACE_SECONDS = 30
"""SIGTERM comes first; the bridge gives its last flush 20 s."""


def require_claims(profiles: Mapping[str, Profile]) -> None:
    """Refuse a folder of the machine as data: raises ValueError. The seats' namespace admits no such pod either."""
    for name, profile in profiles.items():
        for mount in profile.mounts:
            if "/" in mount.source:
                raise ValueError(f"profiles.{name}: {mount.source!r} is no PersistentVolumeClaim, which it takes here")


def volumes(profile: Profile) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give the pod's volumes and where they are mounted: what may be written to, and data to read."""
    room: dict[str, Any] = {}
    if profile.disk:
        room = {"sizeLimit": str(int(profile.disk))}
        if profile.disk_by == "tmpfs":
            room["medium"] = "Memory"
    own = [("home", profile.home), ("tmp", "/tmp")]
    made = [{"name": name, "emptyDir": room} for name, _ in own]
    mounted: list[dict[str, Any]] = [{"name": name, "mountPath": place} for name, place in own]
    for number, mount in enumerate(profile.mounts):
        claim = {"claimName": mount.source, "readOnly": True}
        made.append({"name": f"data-{number}", "persistentVolumeClaim": claim})
        mounted.append({"name": f"data-{number}", "mountPath": mount.target, "readOnly": True})
    return made, mounted


async def addresses(names: Sequence[str]) -> list[dict[str, Any]]:
    """Look names up here, for a pod that may ask no resolver. Raises OSError for one that has no address."""
    loop = asyncio.get_running_loop()
    found = [await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM) for name in names]
    return [{"ip": known[0][4][0], "hostnames": [name]} for name, known in zip(names, found, strict=True)]


class KubernetesSeatSpawner(KubeSpawner):  # type: ignore[misc]  # ships no types
    """Runs a seat's server in a pod that is deleted, with all it holds, when it stops."""

    restricted_reach = List(
        Unicode(),
        config=True,
        help="What restricted servers reach, hub and service first: names, as `hub.inset.svc`. "
        "The NetworkPolicies say the same.",
    )

    @default("pod_name_template")
    def _pod_name_template_default(self) -> str:
        return "{username}"

    @default("delete_grace_period")
    def _delete_grace_period_default(self) -> int:
        return GRACE_SECONDS

    @default("cpu_guarantee")
    def _cpu_guarantee_default(self) -> float:
        # Enough to be placed by. What nobody uses is everybody's: a limit would make notebooks start late.
        return 0.1

    async def load_user_options(self) -> None:
        """Do nothing: `profile` is the name of one of ours, and applied by `c.Spawner.apply_user_options`."""

    def get_env(self) -> dict[str, str]:
        """Give the environment as it was meant: KubeSpawner fills in {…} and Kubernetes $(…), whoever wrote them."""
        env = super(KubeSpawner, self).get_env()
        return {name: str(value).replace("$", "$$") for name, value in env.items()}

    def apply_profile(self, profile: Profile) -> None:
        """Make the next pod one of this profile, with no power at all."""
        uid, _, gid = profile.user.partition(":")
        self.image, self.mem_limit, self.cpu_limit = profile.image, profile.memory, profile.cpu
        self.uid, self.gid, self.fs_gid = int(uid), int(gid), int(gid)
        self.volumes, self.volume_mounts = volumes(profile)
        quota = profile.disk and profile.disk_by == "storage-opt"
        self.extra_resource_limits = {"ephemeral-storage": str(int(profile.disk or 0))} if quota else {}
        self.pod_security_context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        self.container_security_context = {
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": profile.read_only,
        }
        pod: dict[str, Any] = {
            # No addresses of the namespace's services in the environment.
            "enableServiceLinks": False,
            # The pod's own first process buries what kernels leave behind.
            "shareProcessNamespace": True,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
        }
        self.extra_pod_config = pod

    def apply_data_policy(self, policy: DataPolicy) -> None:
        """Label the next pod for the NetworkPolicies, and take its resolver where its data is restricted."""
        self.extra_labels = {POLICY_LABEL: policy}
        self.extra_annotations = {SERVER_ANNOTATION: self.environment["INSET_SERVER_ID"]}
        if policy != "restricted":
            return
        if not self.restricted_reach:
            raise data_policy.not_enforceable("INSET_KUBERNETES_RESTRICTED_REACH does not say how it reaches this hub")
        no_resolver: dict[str, Any] = {"dnsPolicy": "None", "dnsConfig": {"nameservers": [NO_RESOLVER]}}
        self.extra_pod_config = {**self.extra_pod_config, **no_resolver}

    async def start(self) -> str:
        if data_policy.of(self.user_options) == "restricted":
            known = await addresses(self.restricted_reach)
            self.extra_pod_config = {**self.extra_pod_config, "hostAliases": known}
        url: str = await super().start()
        await until_answering(f"{url}{self.server.base_url}api", exit_status=self.poll)
        return url
