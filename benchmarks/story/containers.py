"""DockerSpawner's setting, where an engine runs: a network, Inset's image, and a stock one of the same releases."""

import asyncio
import json
import os
import secrets
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import docker_engine

from benchmarks.story.parts import Setting
from tests.docker.base_image import base_image
from tests.support.real_hub import ROOT

IMAGE, STOCK_IMAGE = "inset-singleuser:bench", "inset-stock:bench"


@asynccontextmanager
async def containers() -> AsyncIterator[Setting | None]:
    """Build the images, make the network, and remove it and what is left on it; None without an engine."""
    tool = docker_engine.docker()
    if not tool or not docker_engine.answers():
        yield None
        return
    base, folder = await asyncio.to_thread(base_image, tool), Path(__file__).parent
    for image, file in ((IMAGE, ROOT / "singleuser" / "Dockerfile"), (STOCK_IMAGE, folder / "stock.Dockerfile")):
        build = ["build", "--quiet", "--file", str(file), "--tag", image, "--build-arg", f"BASE_IMAGE={base}"]
        await asyncio.to_thread(_docker, tool, *build, str(ROOT))
    network = f"inset-bench-{secrets.token_hex(4)}"
    _docker(tool, "network", "create", network)
    try:
        [addresses] = json.loads(_docker(tool, "network", "inspect", network))[0]["IPAM"]["Config"]
        hub = {
            "INSET_SPAWNER": "docker",
            "INSET_DOCKER_IMAGE": IMAGE,
            "BENCH_STOCK_IMAGE": STOCK_IMAGE,
            "INSET_DOCKER_NETWORK": network,
            "INSET_HUB_CONNECT_NAME": addresses["Gateway"],
        }
        yield Setting("docker", hub, service_host=addresses["Gateway"])
    finally:
        for container in _docker(tool, "ps", "--all", "--quiet", "--filter", f"network={network}").split():
            _docker(tool, "rm", "--force", "--volumes", container)
        _docker(tool, "network", "rm", network)


def _docker(tool: str, *arguments: str) -> str:
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    done = subprocess.run([tool, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
