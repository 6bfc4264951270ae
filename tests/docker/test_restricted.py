"""Restricted data on the real engine: nothing gets out of a kernel, nothing but its notebook out of a server."""

import asyncio
import dataclasses
import inspect
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from inset.doctor.egress import from_a_browser, in_a_kernel
from inset.doctor.egress.browser import Browser
from inset.doctor.egress.from_a_kernel import OTHER_FILES
from inset.doctor.egress.trials import Trial
from inset.models import Session
from tests.docker.deployment import Deployment
from tests.docker.reach import address, ask_from
from tests.docker.sessions import reached
from tests.service.conftest import document
from tests.support.hosts import TestHost, write_hosts_file

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

VAULT = TestHost(id="vault", kid="v1", signing_key="the vault's secret, of more than 32 characters")


@pytest.fixture
def vault(running: Deployment, tmp_path: Any) -> TestHost:
    """A host application whose data is restricted, registered beside the demo."""
    origins = (f"https://vault.localhost:{running.port}",)
    host = dataclasses.replace(
        VAULT, origins=origins, audience=running.service_url, registration={"data_policy": "restricted"}
    )
    file = write_hosts_file(tmp_path / "vault.toml", host)
    running.inside(
        "service", "sh", "-c", "cat > /tmp/vault.toml; inset hosts apply /tmp/vault.toml", stdin=file.read_text()
    )
    return host


@contextmanager
def listener() -> Iterator[int]:
    """Somebody on this machine whom its containers can reach, if they can reach anybody: gives the port."""
    with socket.create_server(("0.0.0.0", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


def gateway(running: Deployment, network: str) -> str:
    [config] = json.loads(running.docker("network", "inspect", network))[0]["IPAM"]["Config"]
    return str(config["Gateway"])


async def test_the_doctor_proves_that_nothing_gets_out(
    running: Deployment, vault: TestHost, api: httpx.AsyncClient
) -> None:
    assert not running.seat_containers()
    machine = gateway(running, f"{running.name}_outside")
    with listener() as port:
        # One command, in the service's own container, as an operator runs it.
        told = json.loads(
            running.inside(
                "service", "inset", "doctor", "--egress", "--json", "--host", vault.id, "--outside", f"{machine}:{port}"
            )
        )

        assert [finding for finding in told if finding["level"] != "ok"] == []
        assert len(told) >= 18

        # The control: these questions, asked in a container with a way out and a neighbour, find both.
        seen = ask_in_an_open_container(running, machine, port)
    assert seen["outside"] == [f"{machine}:{port}"]
    assert f"{machine}:{port}" in seen["machine"]
    assert seen["neighbours"] == seen["service"] != []
    assert seen["database"] != []


def ask_in_an_open_container(running: Deployment, machine: str, port: int) -> dict[str, Any]:
    """Ask from the service's own container, which is on all networks and whose port 8091 stands for a neighbour's."""
    empty: dict[str, Any] = {
        name: []
        for name in (
            "internet",
            "names",
            "metadata",
            "proxy",
            "engine",
            "resolve",
            "resolvers",
            "hub_pages",
            "sockets",
            "write",
        )
    }
    asked = {**empty, "outside": [[machine, port]], "machine_ports": [port], "proxy_port": 8000,
             "neighbours": [["127.0.0.1", 8091]], "database": [["database", 5432]]}  # fmt: skip
    code = f"{inspect.getsource(in_a_kernel)}\ntell(json.loads({json.dumps(asked)!r}))"
    service = "INSET_SERVICE_URL=http://127.0.0.1:8091"
    printed = running.docker("exec", "--env", service, running.container("service"), "python", "-c", code)
    return dict(json.loads(printed.partition("inset-doctor ")[2]))


async def test_what_the_doctor_asks_as_a_browser_finds_what_an_open_session_gives(
    running: Deployment, api: httpx.AsyncClient
) -> None:
    # The control of the other half: the questions that a restricted server refuses, asked of one that gives.
    notebook = (await api.post("/v1/notebooks", json={"name": "Open"})).json()
    session = (await api.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    await reached(api, session["id"], "ready")
    [seat] = running.seat_containers()
    for file in OTHER_FILES:
        running.docker("exec", seat, "sh", "-c", f"echo '{json.dumps(document('1'))}' > ~/{file}")
    url = (await api.post(f"/v1/sessions/{session['id']}/iframe-url")).json()["url"]
    address, ticket = url.split("inset/enter#ticket=")
    path = f"work/{notebook['id']}/Open.ipynb"

    async with httpx.AsyncClient(verify=running.front.trust(), timeout=60) as by_edge:
        browser = Browser(address, f"127.0.0.1:{running.port}", by_edge)
        found = await from_a_browser.look(browser, ticket, Trial(Session(path=path), None), token="")
    levels = {finding.code.removeprefix("egress-"): finding.level for finding in found}

    given = {"contents", "files", "nbconvert", "terminals"}
    assert {subject for subject, level in levels.items() if level == "error"} == given
    # A stock server has no archives, and what is the edge's to refuse it refuses for every policy.
    assert {subject for subject, level in levels.items() if level == "ok"} == {"archives", "hub", "cookies"}
    for finding in found:
        if finding.code == "egress-contents":
            assert all(file in finding.message for file in OTHER_FILES)


@pytest.fixture
async def in_the_vault(running: Deployment, api: httpx.AsyncClient, vault: TestHost) -> AsyncIterator[str]:
    """A restricted session of ada's at the vault; gives its container."""
    bearer = vault.bearer("ada")
    notebook = (await api.post("/v1/notebooks", json={"name": "Secret"}, headers=bearer)).json()
    session = (await api.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=bearer)).json()
    api.headers.update(bearer)
    await reached(api, session["id"], "ready")
    [seat] = running.seat_containers()
    yield seat
    await api.delete(f"/v1/sessions/{session['id']}")
    await reached(api, session["id"], "ended")


async def test_a_restricted_container_has_a_network_for_itself_which_goes_with_it(
    running: Deployment, in_the_vault: str, api: httpx.AsyncClient
) -> None:
    told = running.inspected(in_the_vault)
    [network] = json.loads(running.docker("network", "inspect", in_the_vault))

    assert set(told["NetworkSettings"]["Networks"]) == {in_the_vault}
    assert told["HostConfig"]["Dns"] == ["127.0.0.1"]
    assert network["Internal"] is True
    assert network["Options"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}
    listed = {running.container(part) for part in ("hub", "service", "demo")}
    assert set(network["Containers"]) == {told["Id"], *listed}
    assert in_the_vault not in running.on_users_network()
    # By name: the demo, which is listed, and not the edge, which is not.
    places = (("hub", 8081), ("service", 8091), ("demo", 8090), ("edge", 8443), (address(running, "edge"), 8443))
    answers = ask_from(running, in_the_vault, *places)
    assert answers == ["reached"] * 3 + ["not reached"] * 2

    # A part that comes back is connected again, or the last save would not reach the service.
    running.docker("network", "disconnect", "--force", in_the_vault, running.container("service"))
    async with asyncio.timeout(60):
        while len(json.loads(running.docker("network", "inspect", in_the_vault))[0]["Containers"]) < 4:
            await asyncio.sleep(0.5)

    for session in (await api.get("/v1/sessions", params={"state": "live"})).json()["items"]:
        await api.delete(f"/v1/sessions/{session['id']}")
    async with asyncio.timeout(120):
        while in_the_vault in running.docker("network", "ls", "--format", "{{.Name}}").split():
            await asyncio.sleep(0.5)
