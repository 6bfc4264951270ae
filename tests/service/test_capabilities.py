"""What a host lets its users do: the registration's most, the JWT's less, and the server that follows."""

import asyncio
import dataclasses
import json

import pytest

from inset.db import open_database
from inset.hosts import apply_hosts
from tests.service.conftest import document, problem, until
from tests.support.hosts import write_hosts_file

EVERYTHING = ["edit", "run", "download", "terminals"]


async def _open(client, notebook, bearer):
    opened = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=bearer)
    assert opened.status_code in (200, 202), opened.text
    return opened.json()


async def test_a_user_may_do_everything_unless_somebody_says_less(client, hub, ready_session):
    session = await ready_session()

    assert session["may"] == EVERYTHING
    assert hub.server().options["may"] == EVERYTHING


async def test_a_jwt_says_less(client, hub, host, new_notebook):
    session = await _open(client, await new_notebook(), host.bearer("ada", may=["download"]))

    assert session["may"] == ["download"]
    assert (await until(client, session["id"], "ready"))["may"] == ["download"]
    assert hub.server().options["may"] == ["download"]


async def test_a_jwt_can_not_say_more_than_the_registration(client, host, settings, tmp_path, new_notebook):
    strict = dataclasses.replace(host, registration={"may": ["edit", "run"]})
    async with open_database(settings.database_url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "strict.toml", strict))

    session = await _open(client, await new_notebook(), host.bearer("ada", may=["run", "download", "terminals"]))

    assert session["may"] == ["run"]


async def test_a_terminal_runs_code_and_counts_only_beside_it(client, host, new_notebook):
    session = await _open(client, await new_notebook(), host.bearer("ada", may=["edit", "terminals"]))

    assert session["may"] == ["edit"]


@pytest.mark.parametrize("may", ["edit", ["fly"], [1], {"edit": True}])
async def test_a_jwt_that_says_it_wrongly_is_refused(client, host, may):
    answer = await client.get("/v1/notebooks", headers=host.bearer("ada", may=may))

    assert (answer.status_code, problem(answer)) == (401, "token-claims")
    assert "`may`" in answer.json()["detail"]


async def test_sessions_that_may_do_different_things_never_share_a_server(client, hub, host, new_notebook):
    sessions = [
        await _open(client, await new_notebook(), host.bearer("ada", may=may))
        for may in (EVERYTHING, ["edit"], ["edit"])
    ]
    for session in sessions:
        await until(client, session["id"], "ready")

    assert sorted(tuple(server.options["may"]) for server in hub.servers.values()) == [("edit",), tuple(EVERYTHING)]


async def test_opening_a_notebook_with_less_ends_the_session_in_which_it_may_do_more(client, host, new_notebook):
    notebook = await new_notebook()
    before = await until(client, (await _open(client, notebook, host.bearer("ada")))["id"], "ready")

    after = await _open(client, notebook, host.bearer("ada", may=["edit"]))

    assert after["id"] != before["id"]
    ended = await until(client, before["id"], "ended")
    assert ended["ending_reason"] == "policy-changed"
    assert (await until(client, after["id"], "ready"))["may"] == ["edit"]


async def test_who_may_not_edit_changes_nothing_stored(client, host, new_notebook, ready_session):
    notebook = await new_notebook()
    session = await ready_session()
    url = f"/v1/notebooks/{notebook['id']}"
    looking = host.bearer("ada", may=["run", "download", "terminals"])

    for method, path, body in [
        ("POST", "/v1/notebooks", {"name": "Mine"}),
        ("PUT", f"{url}/content", document("changed")),
        ("PATCH", url, {"name": "Renamed"}),
        ("DELETE", url, None),
        ("POST", f"{url}/undelete", None),
        ("POST", f"{url}/versions/1/restore", None),
        ("POST", f"{url}/versions/1/resolve", {"take": "mine"}),
        ("PATCH", f"{url}/versions/1", {"label": "Mine"}),
        ("POST", f"/v1/sessions/{session['id']}/save", None),
    ]:
        answer = await client.request(method, path, json=body, headers={**looking, "If-Match": '"1"'})
        assert (answer.status_code, problem(answer), answer.json()["needs"]) == (403, "not-allowed", "edit"), path

    stored = (await client.get(url, headers=looking)).json()
    assert stored == {name: notebook[name] for name in stored}
    assert (await client.get(f"{url}/content", headers=looking)).status_code == 200
    assert len((await client.get("/v1/notebooks", headers=looking)).json()["items"]) == 2


async def test_who_may_not_download_reads_no_content(client, host, new_notebook):
    url = f"/v1/notebooks/{(await new_notebook())['id']}"
    looking = host.bearer("ada", may=["edit", "run"])

    for path in (f"{url}/content", f"{url}/versions/1/content"):
        answer = await client.get(path, headers=looking)
        assert (answer.status_code, problem(answer), answer.json()["needs"]) == (403, "not-allowed", "download")

    for path in (url, f"{url}/versions", f"{url}/versions/1"):
        assert (await client.get(path, headers=looking)).status_code == 200
    renamed = await client.patch(url, json={"name": "Renamed"}, headers=looking)
    assert renamed.status_code == 200


async def test_a_hosts_own_backend_is_bound_by_none_of_it(client, host, settings, tmp_path):
    strict = dataclasses.replace(host, registration={"may": []})
    async with open_database(settings.database_url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "strict.toml", strict))
    backend = host.backend_bearer("ada")

    made = await client.post("/v1/notebooks", json={"name": "Given"}, headers=backend)

    assert made.status_code == 201
    assert (await client.get(f"/v1/notebooks/{made.json()['id']}/content", headers=backend)).status_code == 200
    refused = await client.post("/v1/notebooks", json={"name": "Taken"}, headers=host.bearer("ada"))
    assert problem(refused) == "not-allowed"


async def test_a_signed_url_opens_no_session_in_which_more_may_be_done(client, host, new_notebook):
    session = await _open(client, await new_notebook(), host.bearer("ada"))
    await until(client, session["id"], "ready")
    url = f"/v1/sessions/{session['id']}/iframe-url"

    refused = await client.post(url, headers=host.bearer("ada", may=["run", "download", "terminals"]))

    assert (problem(refused), refused.json()["needs"]) == ("not-allowed", "edit")
    assert (await client.post(url, headers=host.bearer("ada"))).status_code == 201


async def test_a_server_whose_user_may_not_edit_stores_nothing_and_ends_at_once(client, hub, host, new_notebook):
    notebook = await new_notebook()
    session = await _open(client, notebook, host.bearer("ada", may=["run"]))
    await until(client, session["id"], "ready")
    path = hub.server().documents[notebook["id"]]["path"]
    credential = await hub.credential()

    saved = await hub.save_in_jupyter(path, json.dumps(document("by force")))
    renamed = await client.patch(
        f"/bridge/v1/notebooks/{notebook['id']}", json={"path": "work/mine.ipynb"}, headers=credential
    )
    born = await client.post(
        "/bridge/v1/notebooks", content=json.dumps(document("born")), headers={**credential, "Inset-Name": "Born"}
    )

    for refused in (saved, renamed, born):
        assert (refused.status_code, problem(refused), refused.json()["needs"]) == (403, "not-allowed", "edit")
    by_backend = await client.post(f"/v1/sessions/{session['id']}/save", headers=host.backend_bearer("ada"))
    assert by_backend.json()["created"] is False

    hub.server().documents[notebook["id"]]["version"] = 1
    await client.delete(f"/v1/sessions/{session['id']}")
    async with asyncio.timeout(10):
        await until(client, session["id"], "ended")
    stored = (await client.get(f"/v1/notebooks/{notebook['id']}")).json()
    assert stored == {name: notebook[name] for name in stored}
