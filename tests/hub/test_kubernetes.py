"""Seats as pods: a real hub with the real KubeSpawner, before an API that stands in for a cluster's."""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from jupyterhub.spawner import SpawnException

from inset_hub import kubernetes, profiles
from inset_hub.kubernetes import KubernetesSeatSpawner
from tests.support.cluster import Cluster, cluster
from tests.support.real_hub import RealHub, real_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROFILES = """
[profiles.large]
image = "registry.example/inset-large:1"
user = "1005:1006"
cpu = 2
memory = "4 GiB"
disk = "1 GiB"
environment = { TZ = "UTC" }
mounts = [{ source = "reference", target = "/data/reference" }]
allow_environment = ["PLATFORM_*"]
[profiles.quota]
disk = "5 GiB"
disk_by = "storage-opt"
pids = 100
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(running: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealHub]:
    """With stock servers: nothing here is about the bridge."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "profiles.toml").write_text(PROFILES)
    settings = {
        "INSET_SPAWNER": "kubernetes",
        "INSET_SEATS": "2",
        "INSET_HUB_CONNECT_NAME": "127.0.0.1",
        "INSET_KUBERNETES_IMAGE": "registry.example/inset-singleuser:1",
        "INSET_KUBERNETES_NAMESPACE": "inset-seats",
        "INSET_KUBERNETES_PULL_SECRETS": "registry",
        "INSET_KUBERNETES_RESTRICTED_REACH": "localhost",
        "INSET_PROFILES_FILE": str(folder / "profiles.toml"),
        "INSET_SINGLEUSER_CMD": shlex.join([sys.executable, "-m", "jupyterhub.singleuser", "--allow-root"]),
        "KUBECONFIG": str(running.kubeconfig),
    }
    async with real_hub(folder, settings) as hub:
        yield hub


def environment(pod: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}


async def test_a_seat_is_a_pod_that_answers_when_it_is_ready_and_is_gone_when_it_stopped(
    hub: RealHub, running: Cluster
):
    server_id = await hub.start_server("seat-001")

    async with hub.seat("seat-001", token=await hub.mint_token("seat-001")) as seat:
        assert (await seat.get("api/status")).status_code == 200
    assert running.pods["seat-001"]["metadata"]["namespace"] == "inset-seats"
    pod = running.asked["seat-001"]
    assert pod["metadata"]["labels"]["inset/data-policy"] == "open"
    assert pod["metadata"]["annotations"]["inset/server-id"] == server_id
    assert environment(pod)["INSET_SERVER_ID"] == server_id
    assert "dnsConfig" not in pod["spec"]

    await hub.stop_server("seat-001")
    assert running.pods == {}


async def test_a_pod_has_no_power_and_its_profile_s_limits(hub: RealHub, running: Cluster):
    given = {"PLATFORM_QUERY": '{"user": "{username}"}', "PLATFORM_MARK": "$(JUPYTERHUB_API_TOKEN) costs $5"}
    await hub.start_server("seat-001", profile="large", data_policy="restricted", environment=given)
    pod = running.asked["seat-001"]
    spec = pod["spec"]
    [container] = spec["containers"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "fsGroup": 1006,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "runAsUser": 1005,
        "runAsGroup": 1006,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "serviceAccountName"} & set(spec)
    assert (spec["enableServiceLinks"], spec["terminationGracePeriodSeconds"]) == (False, 30)
    assert container["image"] == "registry.example/inset-large:1"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert container["resources"]["limits"] == {"cpu": 2.0, "memory": 4 * 2**30}
    room = {"medium": "Memory", "sizeLimit": str(2**30)}
    assert spec["volumes"] == [
        {"name": "home", "emptyDir": room},
        {"name": "tmp", "emptyDir": room},
        {"name": "data-0", "persistentVolumeClaim": {"claimName": "reference", "readOnly": True}},
    ]
    assert container["volumeMounts"] == [
        {"name": "home", "mountPath": "/home/notebook"},
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "data-0", "mountPath": "/data/reference", "readOnly": True},
    ]

    # The NetworkPolicies go by the label. No resolver: names carry data out, too.
    assert pod["metadata"]["labels"]["inset/data-policy"] == "restricted"
    assert (spec["dnsPolicy"], spec["dnsConfig"]) == ("None", {"nameservers": ["127.0.0.1"]})
    assert [alias["hostnames"] for alias in spec["hostAliases"]] == [["localhost"]]

    # What a host passes arrives as it is: neither the spawner nor the cluster fills anything in.
    told = environment(pod)
    assert (told["TZ"], told["INSET_DATA_POLICY"]) == ("UTC", "restricted")
    assert told["PLATFORM_QUERY"] == given["PLATFORM_QUERY"]
    assert told["PLATFORM_MARK"] == "$$(JUPYTERHUB_API_TOKEN) costs $$5"

    await hub.stop_server("seat-001")


async def test_a_pod_that_ends_by_itself_is_noticed_and_the_seat_can_start_again(hub: RealHub, running: Cluster):
    await hub.start_server("seat-002")
    running.crash("seat-002")

    async with asyncio.timeout(60):
        while running.pods:
            await asyncio.sleep(0.1)
    await hub.stop_server("seat-002")

    await hub.start_server("seat-002")
    assert set(running.pods) == {"seat-002"}
    await hub.stop_server("seat-002")


async def test_a_cluster_that_admits_no_pod_leaves_none(hub: RealHub, running: Cluster):
    running.quota = 0
    with pytest.raises(AssertionError, match="exceeded quota"):
        await hub.start_server("seat-002")
    running.quota = 100
    assert running.pods == {}


async def test_without_what_it_reaches_a_restricted_pod_is_refused():
    spawner = SimpleNamespace(restricted_reach=[], environment={"INSET_SERVER_ID": "11111111-2222"})
    with pytest.raises(SpawnException, match="policy-not-enforceable"):
        KubernetesSeatSpawner.apply_data_policy(spawner, "restricted")


async def test_a_quota_of_the_node_s_disk_and_a_claim_in_the_place_of_a_folder(tmp_path: Path):
    file = tmp_path / "profiles.toml"
    file.write_text(PROFILES)
    offered = profiles.read(str(file), image="inset-singleuser")
    kubernetes.require_claims(offered)
    made, _ = kubernetes.volumes(offered["quota"])
    assert made[0] == {"name": "home", "emptyDir": {"sizeLimit": str(5 * 2**30)}}

    file.write_text('[profiles.p]\nmounts = [{ source = "/srv/data", target = "/data" }]\n')
    with pytest.raises(ValueError, match="no PersistentVolumeClaim"):
        kubernetes.require_claims(profiles.read(str(file)))
