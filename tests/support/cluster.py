"""A Kubernetes cluster as KubeSpawner meets one: its API at the wire, and a kubelet that runs each pod's command.

    async with cluster(tmp_path) as running:
        running.kubeconfig        # what KUBECONFIG names
        running.asked["seat-001"] # the last pod of this name that was asked for, as it came

A pod is one process of this machine, with an address of its own on loopback. It is bound to nothing that its manifest
says: that is what the tests look at. A manifest that Kubernetes' own schema does not know is refused, as there.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.serving import served

KUBERNETES = "1.37"
PODS = "/api/v1/namespaces/{namespace}/pods"

Manifest = dict[str, Any]


@dataclass
class Cluster:
    folder: Path
    kubeconfig: Path
    asked: dict[str, Manifest] = field(default_factory=dict)
    """By the pod's name."""
    pods: dict[str, Manifest] = field(default_factory=dict)
    """Those that are there, with their status."""
    quota: int = 100
    """How many pods the namespace admits."""
    _processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _log: list[Manifest] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(PODS, self._list, methods=["GET"]),
                Route(PODS, self._create, methods=["POST"]),
                Route(PODS + "/{name}", self._delete, methods=["DELETE"]),
                Route("/api/v1/namespaces/{namespace}/events", self._no_events, methods=["GET"]),
            ]
        )

    def crash(self, name: str) -> None:
        """End a pod's process without a word."""
        self._processes[name].kill()

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in self._processes.values():
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _list(self, request: Request) -> Response:
        if request.query_params.get("watch"):
            seen = int(request.query_params["resourceVersion"])
            return StreamingResponse(self._watched(seen), media_type="application/json")
        return _items("PodList", list(self.pods.values()), len(self._log))

    async def _no_events(self, request: Request) -> Response:
        if request.query_params.get("watch"):
            return StreamingResponse(self._nothing(), media_type="application/json")
        return _items("EventList", [], 0)

    async def _nothing(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def _watched(self, seen: int) -> AsyncIterator[bytes]:
        while True:
            async with self._changed:
                while len(self._log) <= seen:
                    await self._changed.wait()
                new, seen = self._log[seen:], len(self._log)
            for event in new:
                yield json.dumps(event).encode() + b"\n"

    async def _create(self, request: Request) -> Response:
        manifest: Manifest = await request.json()
        name = manifest["metadata"]["name"]
        try:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as exc:
            return _failed(422, exc.message)
        if name in self.pods:
            return _failed(409, f'pods "{name}" already exists')
        if len(self.pods) >= self.quota:
            return _failed(403, "exceeded quota")
        self.asked[name] = manifest
        self.pods[name] = json.loads(json.dumps(manifest))
        self.pods[name]["metadata"].update(namespace=request.path_params["namespace"], uid=os.urandom(8).hex())
        await self._tell(name, "ADDED", phase="Pending")
        self._begin(self._run(name, manifest))
        return JSONResponse(self.pods[name], status_code=201)

    async def _delete(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.pods:
            return _failed(404, f'pods "{name}" not found')
        told = json.loads(await request.body() or b"{}").get("gracePeriodSeconds")
        given = self.pods[name]["spec"]["terminationGracePeriodSeconds"] if told is None else told
        self._begin(self._remove(name, given))
        return JSONResponse(self.pods[name])

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, name: str, manifest: Manifest) -> None:
        [container] = manifest["spec"]["containers"]
        address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        pod = self.pods[name]
        # The next pod of this name may begin before this one's folder is gone.
        home = self.folder / str(pod["metadata"]["uid"])
        home.mkdir()
        # What `$$` stands for in a manifest is `$`.
        env = {one["name"]: one.get("value", "").replace("$$", "$") for one in container["env"]}
        url = urlsplit(env["JUPYTERHUB_SERVICE_URL"])
        env["JUPYTERHUB_SERVICE_URL"] = url._replace(netloc=f"{address}:{url.port}").geturl()
        env |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(home)}
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = process = await asyncio.create_subprocess_exec(
                *container.get("command", []), *container["args"], cwd=home, env=env, stdout=log, stderr=log
            )
        running: Manifest = {"state": {"running": {}}, "ready": True}
        await self._tell(name, "MODIFIED", phase="Running", podIP=address, containerStatuses=[_status(running)])
        code = await process.wait()
        shutil.rmtree(home)
        if self.pods.get(name) is pod:
            ended: Manifest = {"state": {"terminated": {"exitCode": code % 256}}, "ready": False}
            phase = "Failed" if code else "Succeeded"
            await self._tell(name, "MODIFIED", phase=phase, containerStatuses=[_status(ended)])

    async def _remove(self, name: str, grace: float) -> None:
        process = self._processes[name]
        if process.returncode is None:
            process.send_signal(signal.SIGTERM if grace else signal.SIGKILL)
            try:
                async with asyncio.timeout(grace or None):
                    await process.wait()
            except TimeoutError:
                process.kill()
        if name in self.pods:
            await self._tell(name, "DELETED")
            del self.pods[name]

    async def _tell(self, name: str, kind: str, **status: Any) -> None:
        pod = self.pods[name]
        pod["status"] = {**pod.get("status", {}), **status}
        async with self._changed:
            pod["metadata"]["resourceVersion"] = str(len(self._log) + 1)
            self._log.append({"type": kind, "object": json.loads(json.dumps(pod))})
            self._changed.notify_all()


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Serve one until the block is left; its pods end with it."""
    running = Cluster(folder, folder / "kubeconfig")
    try:
        async with served(running.app()) as url:
            running.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(url)))
            yield running
    finally:
        await running.end()


def _kubeconfig(url: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "hub"}}],
        "clusters": [{"name": "tests", "cluster": {"server": url}}],
        "users": [{"name": "hub", "user": {"token": "a-token-of-the-tests"}}],
    }


def _status(container: Manifest) -> Manifest:
    return {"name": "notebook", "image": "", "imageID": "", "restartCount": 0, **container}


def _items(kind: str, items: list[Manifest], version: int) -> Response:
    return JSONResponse(
        {"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": str(version)}, "items": items}
    )


def _failed(status: int, message: str) -> Response:
    body = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": status, "message": message}
    return JSONResponse(body, status_code=status)
