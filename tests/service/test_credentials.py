"""Data credentials: from a host's backend to one session's server, encrypted in between, gone with the session."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from inset.cli import main
from inset.db import open_database
from inset.models import DataCredentialRow
from tests.service.conftest import events, problem, running_service, until
from tests.service.test_control import control
from tests.support.rows import everything

pytestmark = pytest.mark.each_database

SECRET = "a-token-of-the-platform"
FETCH = "/bridge/v1/data-credentials"


def _given(value=SECRET, **more):
    return {"warehouse": {"value": value, **more}}


@pytest.fixture
def backend(host):
    return host.backend_bearer("ada")


@pytest.fixture
def open_with(client, backend, new_notebook):
    """Have the host's backend open a notebook for Ada, with credentials."""

    async def open(credentials=None, notebook=None):
        notebook = notebook or await new_notebook()
        body = {"notebook_id": notebook["id"], "credentials": _given() if credentials is None else credentials}
        answer = await client.post("/v1/sessions", json=body, headers=backend)
        assert answer.status_code in (200, 202), answer.text
        return await until(client, answer.json()["id"], "ready")

    return open


async def _fetched(client, hub, seat="seat-001"):
    """What a server's bridge is given: by session, names and values."""
    answer = await client.get(FETCH, headers=await hub.credential(seat))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return {
        session["session_id"]: {name: one["value"] for name, one in session["credentials"].items()}
        for session in answer.json()["sessions"]
    }


async def _kept(settings):
    async with open_database(settings.database_url) as database, database.transaction(read_only=True) as db:
        return (await db.exec(select(DataCredentialRow))).all()


async def test_the_bridge_of_the_sessions_server_is_given_what_the_host_has_passed(client, hub, open_with):
    expires = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()

    session = await open_with(_given(expires_at=expires))

    answer = (await client.get(FETCH, headers=await hub.credential())).json()
    [told] = answer["sessions"]
    assert (told["session_id"], told["notebook_id"]) == (session["id"], session["notebook_id"])
    assert told["credentials"]["warehouse"]["value"] == SECRET
    assert datetime.fromisoformat(told["credentials"]["warehouse"]["expires_at"]) == datetime.fromisoformat(expires)


async def test_a_refresh_replaces_all_and_is_told_at_once(client, hub, backend, open_with):
    session = await open_with()
    async with control(client, await hub.credential()) as stream:
        assert (await stream.next())[0] == "sessions"
        body = {"credentials": {"lake": {"value": "another"}, "warehouse": {"value": "newer"}}}

        answer = await client.put(f"/v1/sessions/{session['id']}/credentials", json=body, headers=backend)

        assert (answer.status_code, answer.json()) == (200, {"expires_at": {"lake": None, "warehouse": None}})
        assert await stream.next() == ("credentials", {"session_id": session["id"]})
    assert await _fetched(client, hub) == {session["id"]: {"lake": "another", "warehouse": "newer"}}
    await client.put(f"/v1/sessions/{session['id']}/credentials", json={"credentials": {}}, headers=backend)
    assert await _fetched(client, hub) == {session["id"]: {}}


async def test_who_joins_an_open_session_refreshes_it(client, hub, open_with, new_notebook):
    notebook = await new_notebook()
    session = await open_with(notebook=notebook)

    again = await open_with(_given("newer"), notebook)

    assert again["id"] == session["id"]
    assert await _fetched(client, hub) == {session["id"]: {"warehouse": "newer"}}


async def test_a_users_own_token_brings_none(client, hub, open_with, new_notebook):
    session = await open_with()
    body = {"credentials": _given("mine")}

    opening = await client.post("/v1/sessions", json={"notebook_id": (await new_notebook())["id"], **body})
    putting = await client.put(f"/v1/sessions/{session['id']}/credentials", json=body)

    assert [problem(answer) for answer in (opening, putting)] == ["backend-only", "backend-only"]
    assert await _fetched(client, hub) == {session["id"]: {"warehouse": SECRET}}


async def test_another_user_and_another_host_reach_no_session_with_theirs(client, host, other_host, open_with):
    session = await open_with()
    for stranger in (host.backend_bearer("grace"), other_host.backend_bearer("ada")):
        answer = await client.put(
            f"/v1/sessions/{session['id']}/credentials", json={"credentials": _given()}, headers=stranger
        )
        assert problem(answer) == "session-not-found"


async def test_another_users_server_is_given_nothing_of_it(client, hub, host, open_with, new_notebook):
    await open_with()
    grace = host.bearer("grace")
    notebook = (await client.post("/v1/notebooks", json={"name": "N"}, headers=grace)).json()
    opened = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=grace)
    client.headers.update(grace)
    await until(client, opened.json()["id"], "ready")

    assert await _fetched(client, hub, "seat-002") == {}
    for stranger in ({}, grace):
        assert problem(await client.get(FETCH, headers={"Authorization": "", **stranger})) == "unknown-server"


async def test_it_is_readable_nowhere(client, hub, settings, backend, tmp_path, caplog, open_with):
    caplog.set_level(logging.DEBUG)
    session = await open_with()
    body = {"credentials": {"Bad Name": {"value": SECRET}, "warehouse": {"value": SECRET, "expires_at": "never"}}}
    refused = await client.put(f"/v1/sessions/{session['id']}/credentials", json=body, headers=backend)
    assert problem(refused) == "invalid-request"
    assert SECRET not in refused.text

    assert SECRET not in (await client.get(f"/v1/sessions/{session['id']}")).text
    assert SECRET not in str(hub.server().options)
    told = [event async for event in _until_ready(client, session["id"])]
    assert ("credentials", ["warehouse"]) in [(kind, data.get("names")) for kind, data in told]
    assert SECRET not in str(told)
    assert SECRET not in caplog.text
    rows = await everything(settings.database_url)
    assert rows["data_credentials"]
    assert SECRET not in str(rows)
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]


async def _until_ready(client, session_id):
    async for kind, data in events(client, session_id):
        yield kind, data
        if kind == "ready":
            return


async def test_it_is_forgotten_when_the_session_begins_to_end(client, settings, backend, open_with):
    session = await open_with()
    assert len(await _kept(settings)) == 1

    await client.delete(f"/v1/sessions/{session['id']}")

    assert await _kept(settings) == []
    for _ in ("while it ends", "afterwards"):
        answer = await client.put(
            f"/v1/sessions/{session['id']}/credentials", json={"credentials": _given()}, headers=backend
        )
        assert (answer.status_code, problem(answer)) == (410, "session-over")
        await until(client, session["id"], "ended")
    assert await _kept(settings) == []


async def test_it_is_forgotten_when_the_server_dies(client, hub, settings, open_with):
    session = await open_with()

    hub.kill_server()

    await until(client, session["id"], "failed")
    assert await _kept(settings) == []


async def test_what_has_run_out_is_given_to_nobody(client, hub, open_with):
    gone = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()

    session = await open_with({"old": {"value": "x", "expires_at": gone}, "new": {"value": "y"}})

    assert await _fetched(client, hub) == {session["id"]: {"new": "y"}}


async def test_under_another_signing_key_nothing_opens_and_the_next_refresh_does(
    settings, hub, host, backend, tmp_path, anonymous, open_with
):
    session = await open_with()
    key = tmp_path / "other.pem"
    main(["keygen", str(key)])
    async with running_service(settings.model_copy(update={"signing_key_file": key}), hub, **backend) as replica:
        assert await _fetched(replica, hub) == {session["id"]: {}}
        await replica.put(f"/v1/sessions/{session['id']}/credentials", json={"credentials": _given("newer")})
        assert await _fetched(replica, hub) == {session["id"]: {"warehouse": "newer"}}


async def test_a_sealed_row_opens_for_no_other_session(client, hub, settings, open_with):
    first, second = await open_with(), await open_with(_given("of-the-second"))
    async with open_database(settings.database_url) as database, database.transaction() as db:
        stolen = (await db.get_one(DataCredentialRow, first["id"])).sealed
        (await db.get_one(DataCredentialRow, second["id"])).sealed = stolen

    assert await _fetched(client, hub) == {first["id"]: {"warehouse": SECRET}, second["id"]: {}}


@pytest.mark.parametrize(
    "credentials",
    [
        {"Upper": {"value": "x"}},
        {"../x": {"value": "x"}},
        {"a": {"value": ""}},
        {"a": {"value": "x" * 16_385}},
        {"a": {"value": "x", "expires_at": "2026-01-01T00:00:00"}},
        {"a": {"value": "x", "more": 1}},
        {"a": "x"},
        {f"name-{n}": {"value": "x"} for n in range(17)},
    ],
)
async def test_what_is_no_credential_is_refused(client, backend, new_notebook, credentials):
    body = {"notebook_id": (await new_notebook())["id"], "credentials": credentials}
    assert problem(await client.post("/v1/sessions", json=body, headers=backend)) == "invalid-request"
