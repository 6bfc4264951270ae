"""`deploy/swarm/` on a real Swarm of one machine: what is opened, saved, dies, comes back, and is shut in there."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.docker import images
from tests.docker.by_edge import by_edge
from tests.docker.sessions import reached
from tests.docker.swarm import PORT, Swarm, swarm
from tests.service.conftest import document
from tests.support.edge import SERVICE_NAME
from tests.support.hosts import TestHost, write_hosts_file
from tests.support.real_hub import ROOT

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="an engine in a network of its own takes root"),
]

IMAGES = ("database", "service", "hub", "engine", "edge", "singleuser")
TIMES = ROOT / ".artifacts" / "swarm.txt"
PROFILES = """
[profiles.small]
memory = "512 MiB"
pids = 100
disk = "32 MiB"
allow_environment = ["PLATFORM_*"]
"""
AUDIENCE = f"https://{SERVICE_NAME}:{PORT}"
DEMO = TestHost(
    audience=AUDIENCE,
    origins=(f"https://fieldnotes.localhost:{PORT}",),
    registration={"profiles": ["default", "small"]},
)
VAULT = TestHost(
    id="vault",
    kid="v1",
    signing_key="the vault's secret, of more than 32 characters",
    audience=AUDIENCE,
    origins=(f"https://vault.localhost:{PORT}",),
    registration={"data_policy": "restricted"},
)
SAVE = """
import glob, json, os, sys, urllib.request as r
[file] = glob.glob("work/*/*.ipynb")
url = f"http://127.0.0.1:8888{os.environ['JUPYTERHUB_SERVICE_PREFIX']}api/contents/{file}"
headers = {"Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"], "Content-Type": "application/json"}
print(r.urlopen(r.Request(url, data=sys.stdin.buffer.read(), headers=headers, method="PUT"), timeout=30).status)
"""
"""Saves the notebook as its page does."""

ENTER = """
import os, urllib.error, urllib.request as r
url = f"http://127.0.0.1:8888{os.environ['JUPYTERHUB_SERVICE_PREFIX']}api/status"
try:
    r.urlopen(r.Request(url, headers={"Authorization": "token " + os.urandom(16).hex()}), timeout=30)
except urllib.error.HTTPError as exc:
    print(exc.code)
"""
"""Asks for something with a token that nobody has: 403, if the hub could be asked about it."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    folder = tmp_path_factory.mktemp("swarm")
    images.build(*IMAGES)
    (folder / "profiles.toml").write_text(PROFILES)
    began = time.monotonic()
    with swarm(IMAGES, images.TAG, folder) as running:
        TIMES.parent.mkdir(exist_ok=True)
        TIMES.write_text(f"Swarm: all well {time.monotonic() - began:.0f} s after its engine was started\n")
        hosts = write_hosts_file(folder / "hosts.toml", DEMO, VAULT).read_text()
        running.inside("service", "inset", "hosts", "apply", "/dev/stdin", stdin=hosts)
        yield running


@pytest.fixture
async def api(running: Swarm) -> AsyncIterator[httpx.AsyncClient]:
    """The service by the edge, called with the token of the demo's user ada; nothing is left open at the end."""

    async def signed(request: httpx.Request) -> None:
        # A token lasts five minutes, and on a slow machine a test lasts longer.
        request.headers.update(DEMO.bearer("ada"))

    async with by_edge(PORT, running.trust(), address=running.address) as client:
        client.event_hooks["request"].append(signed)
        # An edge that was there before the service looks for it every three seconds, and says so until then.
        async with asyncio.timeout(60):
            while (await client.get("/healthz")).status_code != 200:
                await asyncio.sleep(0.2)
        yield client
        for session in (await client.get("/v1/sessions", params={"state": "live"})).json()["items"]:
            await client.delete(f"/v1/sessions/{session['id']}")
            await reached(client, session["id"], "ended")
        await no_seat_left(running)


async def no_seat_left(running: Swarm) -> None:
    async with asyncio.timeout(60):
        while await asyncio.to_thread(running.seats):
            await asyncio.sleep(0.2)


async def opened(api: httpx.AsyncClient, notebook: str, **wanted: Any) -> str:
    session = (await api.post("/v1/sessions", json={"notebook_id": notebook, **wanted})).json()
    await reached(api, session["id"], "ready")
    return str(session["id"])


async def until_stored(api: httpx.AsyncClient, notebook: str, text: str) -> None:
    async with asyncio.timeout(60):
        while text not in (await api.get(f"/v1/notebooks/{notebook}/content")).text:
            await asyncio.sleep(0.2)


def save(running: Swarm, seat: str, text: str) -> None:
    body = json.dumps({"type": "notebook", "format": "json", "content": document(text)})
    running.docker("exec", "--interactive", running.container(seat), "python", "-c", SAVE, stdin=body)


async def test_a_notebook_outlives_the_hub_the_server_and_the_session(running: Swarm, api: httpx.AsyncClient) -> None:
    notebook = (await api.post("/v1/notebooks", json={"name": "Swarming"})).json()["id"]
    session = await opened(api, notebook)
    [seat] = running.seats()
    container = running.container(seat)
    save(running, seat, "print('in a swarm')")
    await until_stored(api, notebook, "in a swarm")

    # Another hub finds the server that the one before it has started.
    running.docker("service", "update", "--quiet", "--force", "--no-resolve-image", "inset_hub")
    await asyncio.to_thread(running.until_well)
    assert running.container(seat) == container
    assert (await api.get(f"/v1/sessions/{session}")).json()["state"] == "ready"
    # And the server finds it, at another address.
    began = time.monotonic()
    while running.docker("exec", container, "python", "-c", ENTER).strip() != "403":
        assert time.monotonic() - began < 20, "the server asks where the hub was before"

    # The hub notices that it dies. It is not started again, and nothing of it stays.
    [told] = json.loads(running.docker("inspect", container))
    os.kill(int(told["State"]["Pid"]), signal.SIGKILL)
    await reached(api, session, "failed")
    assert (await api.get(f"/v1/sessions/{session}")).json()["failure"]["code"] == "server-died"
    await no_seat_left(running)

    session = await opened(api, notebook)
    # In another seat, while the one that died may run once more to send what it owes.
    async with asyncio.timeout(60):
        while len(seats := await asyncio.to_thread(running.seats)) != 1:
            await asyncio.sleep(0.2)
    [seat] = seats
    assert running.container(seat) != container
    assert "in a swarm" in running.docker("exec", running.container(seat), "sh", "-c", "cat work/*/*.ipynb")
    await api.delete(f"/v1/sessions/{session}")
    await reached(api, session, "ended")
    await no_seat_left(running)
    # The container's nameless volumes go with it, and it goes a moment after its service.
    async with asyncio.timeout(60):
        while set(running.docker("volume", "ls", "--quiet").split()) != {"inset_database", "inset_hub"}:
            await asyncio.sleep(0.5)


async def test_a_server_has_no_power_and_its_profiles_limits(running: Swarm, api: httpx.AsyncClient) -> None:
    notebook = (await api.post("/v1/notebooks", json={"name": "Confined"})).json()["id"]
    mark = "{{.Node.Hostname}} {{ {{{ }}"
    await opened(api, notebook, profile="small", environment={"PLATFORM_MARK": mark})
    [seat] = running.seats()
    container = running.container(seat)
    [told] = json.loads(running.docker("inspect", container))
    host = told["HostConfig"]

    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
    assert (host["Memory"], host["PidsLimit"]) == (512 << 20, 100)
    assert (host["Privileged"], host["SecurityOpt"], host["Binds"]) == (False, None, None)
    assert set(told["NetworkSettings"]["Networks"]) == {"inset-users"}

    def inside(script: str) -> str:
        return running.docker("exec", container, "sh", "-c", script).strip()

    assert inside("id -u") == "1000"
    # The one that the container's first process has started; what is run in here beside it has no parent.
    server = inside("grep -l '^PPid:.1$' /proc/[0-9]*/status").split("/")[2]
    assert inside(f"grep NoNewPrivs /proc/{server}/status").split() == ["NoNewPrivs:", "1"]
    assert inside(f"grep CapBnd /proc/{server}/status").split()[1].strip("0") == ""
    assert inside(f"grep Seccomp: /proc/{server}/status").split()[1] == "2"
    # What a Swarm would fill in stays as the host wrote it.
    assert inside(f"tr '\\0' '\\n' < /proc/{server}/environ | grep ^PLATFORM") == f"PLATFORM_MARK={mark}"
    written = inside("dd if=/dev/zero of=full bs=1M count=40 2> /dev/null || stat -c %s full; rm full")
    assert 0 < int(written) <= 32 << 20


async def test_the_doctor_proves_that_nothing_gets_out(running: Swarm) -> None:
    told = json.loads(running.inside("service", "inset", "doctor", "--egress", "--json", "--host", VAULT.id))

    assert [finding for finding in told if finding["level"] != "ok"] == []
    assert len(told) >= 18
    await no_seat_left(running)


def test_a_hub_that_was_taken_over_gets_nothing_else_of_the_swarm(running: Swarm) -> None:
    ask = """
import sys, urllib.error, urllib.request as r
for line in sys.stdin:
    method, path = line.split()
    try:
        print(r.urlopen(r.Request("http://engine:2375/v1.41" + path, method=method), timeout=60).status)
    except urllib.error.HTTPError as refused:
        print(refused.code)
"""
    database = running.docker("service", "inspect", "--format", "{{.ID}}", "inset_database").strip()
    calls = [
        "GET /services",
        "GET /services/inset_database",
        f"DELETE /services/{database}",
        f"DELETE /services/{database[:6]}",
        "POST /services/inset_database/update?version=1",
        "GET /tasks",
        "GET /nodes",
        "GET /secrets",
        "GET /swarm",
        "POST /swarm/leave?force=1",
        "POST /containers/create",
        "GET /containers/json",
        "GET /networks/inset_database",
    ]
    assert set(running.inside("hub", "python", "-c", ask, stdin="\n".join(calls)).split()) == {"403"}
    # The control: that is the way by which the seats' services are asked for.
    assert running.inside("hub", "python", "-c", ask, stdin="GET /services/inset-users-seat-2d001").split() == ["404"]
