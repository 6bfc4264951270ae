"""What a profile and a data policy mean for a pod."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from jupyterhub.spawner import SpawnException

from inset_hub import kubernetes, profiles
from inset_hub.kubernetes import KubernetesSeatSpawner

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
