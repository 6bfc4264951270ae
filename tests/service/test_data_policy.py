"""Restricted data: what follows for a session from the policy of its host application, or of the whole service."""

import dataclasses

import httpx
import pytest

from inset.db import open_database
from inset.doctor import Doctor
from inset.hosts import apply_hosts
from tests.service.conftest import problem, running_service, until
from tests.support.hosts import write_hosts_file


@pytest.fixture
def behind_edge(settings):
    """The service's settings, where an edge stands in front."""
    return settings.model_copy(update={"edge_token": "the secret of the edge"})


@pytest.fixture
def restrict(settings, host, tmp_path):
    """Register the host application with another policy."""

    async def register(policy="restricted", **registration):
        told = dataclasses.replace(host, registration={"data_policy": policy, **registration})
        async with open_database(settings.database_url) as database:
            await apply_hosts(database, write_hosts_file(tmp_path / "restricted.toml", told))

    return register


async def _created(client):
    return (await client.post("/v1/notebooks", json={"name": "Analysis"})).json()


async def _opened(client, notebook, status=202, **headers):
    answer = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_host_applications_policy_decides_what_its_servers_are(behind_edge, hub, host, restrict):
    await restrict()
    async with running_service(behind_edge, hub, **host.bearer("ada")) as client:
        session = await _opened(client, await _created(client))
        session = await until(client, session["id"], "ready")

    assert (session["data_policy"], session["may"]) == ("restricted", ["edit", "run"])
    assert hub.server().options["data_policy"] == "restricted"
    assert hub.server().options["may"] == ["edit", "run"]


async def test_one_setting_restricts_all_host_applications_and_no_registration_loosens_it(
    behind_edge, hub, host, restrict
):
    await restrict("open")
    everywhere = behind_edge.model_copy(update={"data_policy": "restricted"})
    async with running_service(everywhere, hub, **host.bearer("ada")) as client:
        session = await _opened(client, await _created(client))

    assert (session["data_policy"], session["may"]) == ("restricted", ["edit", "run"])


async def test_without_a_policy_a_session_is_open(client, hub, ready_session):
    session = await ready_session()

    assert session["data_policy"] == "open"
    assert hub.server().options["data_policy"] == "open"


async def test_restricted_notebooks_do_not_open_where_no_edge_stands(client, hub, new_notebook, restrict):
    notebook = await new_notebook()
    await restrict()

    answer = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})

    assert (answer.status_code, problem(answer)) == (501, "policy-not-enforceable")
    assert hub.servers == {}


async def test_a_hub_that_can_not_keep_a_server_to_it_fails_the_session_with_that_reason(
    behind_edge, hub, host, restrict
):
    hub.keeps_data_inside = False
    await restrict()
    async with running_service(behind_edge, hub, **host.bearer("ada")) as client:
        session = await _opened(client, await _created(client))
        failed = await until(client, session["id"], "failed")

    assert failed["failure"]["code"] == "policy-not-enforceable"


async def test_a_server_that_runs_is_never_given_to_a_restricted_session(behind_edge, hub, host, restrict):
    bearer = host.bearer("ada", may=["edit", "run"])
    async with running_service(behind_edge, hub, **bearer) as client:
        first, second = [await _created(client) for _ in range(2)]
        before = await until(client, (await _opened(client, first))["id"], "ready")
        await restrict()

        # The other notebook gets a server of its own, though its user may do the same there.
        other = await until(client, (await _opened(client, second))["id"], "ready")
        assert (other["may"], before["may"]) == (["edit", "run"], ["edit", "run"])
        assert [server.options["data_policy"] for server in hub.servers.values()] == ["open", "restricted"]

        # The one that is open gets no further frame, and is saved and opened anew when somebody asks for it.
        refused = await client.post(f"/v1/sessions/{before['id']}/iframe-url")
        assert (refused.status_code, problem(refused)) == (409, "session-differs")
        after = await _opened(client, first)
        assert (after["data_policy"], after["id"] != before["id"]) == ("restricted", True)
        ended = await until(client, before["id"], "ended")
        assert ended["ending_reason"] == "policy-changed"


async def test_a_server_that_is_started_once_more_to_send_what_it_owes_is_restricted_as_before(
    behind_edge, hub, host, restrict
):
    await restrict()
    async with running_service(behind_edge, hub, **host.bearer("ada")) as client:
        session = await _opened(client, await _created(client))
        await until(client, session["id"], "ready")
        hub.spawns_hold = True
        hub.kill_server()
        await until(client, session["id"], "failed")
        await hub.until(lambda: hub.servers, within=20)

        assert hub.server().options["data_policy"] == "restricted"


async def test_a_user_can_not_fetch_his_notebook_and_his_hosts_backend_can_on_record(
    behind_edge, hub, host, other_host, restrict
):
    await restrict()
    async with running_service(behind_edge, hub, **host.bearer("ada")) as client:
        notebook = await _created(client)
        content = f"/v1/notebooks/{notebook['id']}/content"
        for path in (content, f"/v1/notebooks/{notebook['id']}/versions/1/content"):
            refused = await client.get(path)
            assert (refused.status_code, problem(refused)) == (403, "not-allowed")

        exported = await client.get(content, headers=host.backend_bearer("ada"))
        assert exported.status_code == 200
        # In nobody else's name, and no other host application's backend gets it.
        for stranger in (host.backend_bearer("grace"), other_host.backend_bearer("ada")):
            hidden = await client.get(content, headers=stranger)
            assert (hidden.status_code, problem(hidden)) == (404, "notebook-not-found")
        told = (await client.get("/v1/audit", headers=host.backend_bearer("ada"))).json()["items"]

    [record] = [one for one in told if one["action"] == "notebook.downloaded"]
    assert (record["actor"], record["user"], record["notebook_id"]) == ("backend", "ada", notebook["id"])


async def test_a_token_can_not_say_its_way_out(behind_edge, hub, host, restrict):
    await restrict()
    async with running_service(behind_edge, hub, **host.bearer("ada", may=["edit", "download", "terminals"])) as client:
        assert (await _opened(client, await _created(client)))["may"] == ["edit"]


async def test_a_misspelt_policy_registers_nobody(restrict):
    with pytest.raises(ValueError, match="data_policy"):
        await restrict("restrictd")


async def test_the_doctor_finds_a_policy_that_nothing_enforces(settings, behind_edge, hub, restrict):
    assert await _found(settings) == "data-policy"
    await restrict()
    assert await _found(settings) == "restricted-without-edge"
    assert await _found(behind_edge) == "data-policy"


async def _found(settings):
    async with open_database(settings.database_url) as database, httpx.AsyncClient(timeout=20) as http:
        findings = await Doctor(settings, database, http).examine()
    [code] = {finding.code for finding in findings} & {"data-policy", "restricted-without-edge"}
    return code


async def test_the_egress_examination_says_what_keeps_it_from_proving_anything(settings, command, restrict):
    code, _, error = await command("doctor", "--egress")
    assert (code, "restricted" in error) == (2, True)

    await restrict()
    code, told, _ = await command("doctor", "--egress")
    assert (code, "egress-no-edge" in told) == (1, True)
