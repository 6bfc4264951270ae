"""An image that this machine's engine lacks: the real spawner says so while the real engine fetches it."""

import asyncio
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import docker_engine
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inset_client.testkit.serving import listening, served
from inset_hub.docker import DockerSeatSpawner

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

OCI = "application/vnd.oci.image"


class Registry:
    """A registry with one image of one empty layer, which it hands out as soon as it may."""

    def __init__(self) -> None:
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            # No other image has this one, so that it is fetched.
            tar.addfile(tarfile.TarInfo(uuid4().hex))
        self.blobs: dict[str, bytes] = {}
        self.may = threading.Event()
        diff = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
        platform = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff]}}
        config = self._kept(json.dumps(platform).encode(), f"{OCI}.config.v1+json")
        held = self._kept(gzip.compress(layer.getvalue()), f"{OCI}.layer.v1.tar+gzip")
        self.held = held["digest"]
        self.manifest = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": [held]}
        routes = [
            Route("/v2/", lambda request: JSONResponse({})),
            Route("/v2/{name}/manifests/{tag}", self._manifest),
            Route("/v2/{name}/blobs/{digest}", self._blob),
        ]
        self.app = Starlette(routes=routes)

    def _kept(self, content: bytes, kind: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = content
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def _manifest(self, request: Request) -> Response:
        return Response(json.dumps(self.manifest), media_type=self.manifest["mediaType"])

    def _blob(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        if digest == self.held:
            self.may.wait()
        return Response(self.blobs[digest], media_type="application/octet-stream")


@pytest.fixture
def registry() -> Iterator[tuple[Registry, str]]:
    """A registry, and its image's name."""
    assert docker_engine.answers(), "run `python3 dev/docker_engine.py` first"
    registry = Registry()
    with listening() as socket, served(registry.app, socket):
        try:
            yield registry, f"127.0.0.1:{socket.getsockname()[1]}/inset-pulled:1"
        finally:
            registry.may.set()


async def test_who_follows_a_start_hears_when_its_image_is_fetched_and_when_it_is_there(
    registry: tuple[Registry, str],
) -> None:
    registry_, image = registry
    spawner = DockerSeatSpawner(pull_policy="ifnotpresent")
    async with asyncio.timeout(60), aclosing(spawner.progress()) as told:
        first = await anext(told)
        pulling = asyncio.create_task(spawner.pull_image(image))
        second = await anext(told)
        assert not pulling.done()
        registry_.may.set()
        third = await anext(told)
        await pulling
        try:
            # The word that the service knows, and no name of an image.
            assert [first["message"], second["message"], third["message"]] == [
                "Spawning server...",
                "Pulling image",
                "Spawning server...",
            ]
            # Once it is there nothing is fetched, and nothing told.
            await spawner.pull_image(image)
            assert not spawner._pulling
        finally:
            await spawner.docker("remove_image", image)
