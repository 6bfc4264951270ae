"""What the save bridges inside servers may call, and what they may not."""

import asyncio
import hashlib
import json
from urllib.parse import quote

import pytest

from tests.fakes.fake_hub import SERVICE_TOKEN
from tests.service.conftest import document, events, problem, until

pytestmark = pytest.mark.each_database

REDEEM = "/bridge/v1/tickets/redeem"


@pytest.fixture
def ticket(client, ready_session):
    async def mint(session=None, **wish):
        session = session or await ready_session()
        answer = await client.post(f"/v1/sessions/{session['id']}/iframe-url", json=wish)
        return answer.json()["url"].partition("#ticket=")[2]

    return mint


async def test_a_ticket_is_exchanged_once_for_a_token_of_this_server(
    client, hub, anonymous, ticket, ready_session, new_notebook
):
    notebook = await new_notebook("My analysis")
    session = await ready_session(notebook)
    token = await ticket(session)
    credential = await hub.credential()

    entered = await anonymous.post(REDEEM, json={"ticket": token}, headers=credential)
    again = await anonymous.post(REDEEM, json={"ticket": token}, headers=credential)

    assert entered.status_code == 200
    entry = entered.json()
    assert hub.tokens[entry["hub_token"]] == "seat-001"
    assert (entry["session_id"], entry["notebook_id"]) == (session["id"], notebook["id"])
    assert entry["next"] == f"/user/seat-001/notebooks/work/{notebook['id']}/My-analysis.ipynb"
    assert (again.status_code, problem(again)) == (403, "ticket-used")


@pytest.mark.parametrize("trouble", ["down", "busy"])
async def test_a_frame_waits_for_a_hub_that_is_away_for_a_moment(hub, anonymous, ticket, trouble):
    asked = {"json": {"ticket": await ticket()}, "headers": await hub.credential()}
    hub.requests.clear()
    hub.trouble = trouble

    entering = asyncio.create_task(anonymous.post(REDEEM, **asked))
    async with asyncio.timeout(30):
        while "POST /hub/api/users/seat-001/tokens" not in hub.requests:
            await asyncio.sleep(0.01)
    hub.trouble = None

    entered = await entering
    assert (entered.status_code, hub.tokens[entered.json()["hub_token"]]) == (200, "seat-001")


@pytest.mark.parametrize(
    ("trouble", "patience", "told"),
    [("down", 0.1, "hub-unavailable"), ("slow", 0.1, "hub-unavailable"), ("busy", 3, "hub-busy")],
)
async def test_a_frame_is_told_of_a_hub_that_stays_away(hub, anonymous, ticket, monkeypatch, trouble, patience, told):
    monkeypatch.setattr("inset.bridges._HUB_PATIENCE", patience)
    asked = {"json": {"ticket": await ticket()}, "headers": await hub.credential()}
    hub.trouble = trouble

    async with asyncio.timeout(15):  # a slow hub takes thirty
        assert problem(await anonymous.post(REDEEM, **asked)) == told


async def test_a_frame_does_not_wait_for_a_hub_that_refuses(hub, anonymous, ticket):
    asked = {"json": {"ticket": await ticket()}, "headers": await hub.credential()}
    hub.requests.clear()
    hub.seats = ["seat-002"]

    assert problem(await anonymous.post(REDEEM, **asked)) == "hub-unavailable"
    assert hub.requests.count("POST /hub/api/users/seat-001/tokens") == 1


async def test_lab_is_shown_on_request_in_a_workspace_of_the_session(hub, anonymous, ticket, ready_session):
    session = await ready_session()
    token = await ticket(session, interface="lab")

    entry = (await anonymous.post(REDEEM, json={"ticket": token}, headers=await hub.credential())).json()

    assert entry["next"].startswith(f"/user/seat-001/lab/workspaces/{session['id']}/tree/work/")


async def test_another_servers_ticket_is_refused_and_stays_good(
    client, anonymous, hub, host, ticket, ready_session, new_notebook
):
    token = await ticket()
    anonymous.headers.update(host.bearer("grace"))
    await ready_session(await new_notebook())

    wrong = await anonymous.post(REDEEM, json={"ticket": token}, headers=await hub.credential("seat-002"))
    right = await anonymous.post(REDEEM, json={"ticket": token}, headers=await hub.credential("seat-001"))

    assert problem(wrong) == "ticket-for-another-server"
    assert right.status_code == 200


@pytest.mark.parametrize(
    "forge", [lambda t: t[:-4] + "AAAA", lambda t: "x", lambda t: "", lambda t: t.split(".")[0] + ".e30."]
)
async def test_a_ticket_that_the_service_did_not_sign_is_refused(anonymous, hub, ticket, forge):
    token = forge(await ticket())

    answer = await anonymous.post(REDEEM, json={"ticket": token}, headers=await hub.credential())

    assert problem(answer) == "ticket-invalid"


async def test_a_credential_is_no_ticket_and_a_ticket_no_credential(anonymous, hub, ticket):
    token = await ticket()
    credential = await hub.credential()

    swapped = await anonymous.post(
        REDEEM, json={"ticket": credential["Authorization"].removeprefix("Bearer ")}, headers=credential
    )
    as_credential = await anonymous.post(REDEEM, json={"ticket": token}, headers={"Authorization": f"Bearer {token}"})

    assert problem(swapped) == "ticket-invalid"
    assert problem(as_credential) == "unknown-server"


async def test_a_ticket_of_a_session_that_is_over_opens_nothing(client, anonymous, hub, ticket, ready_session):
    session, _other = await ready_session(), await ready_session()
    token = await ticket(session)
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")

    assert (
        problem(await anonymous.post(REDEEM, json={"ticket": token}, headers=await hub.credential())) == "session-over"
    )


async def test_only_a_server_that_the_service_started_gets_a_credential(anonymous, hub, ready_session):
    await ready_session()
    server = hub.server()
    known = {"server_id": server.options["server_id"]}

    for authorization in (None, "", "token wrong", f"token {SERVICE_TOKEN}", f"Bearer {server.own_token}"):
        headers = {"Authorization": authorization} if authorization is not None else {"Authorization": ""}
        answer = await anonymous.post("/bridge/v1/credentials", json=known, headers=headers)
        assert problem(answer) == "unknown-server", authorization
    wrong_server = await anonymous.post(
        "/bridge/v1/credentials", json={"server_id": "another"}, headers={"Authorization": f"token {server.own_token}"}
    )
    assert problem(wrong_server) == "unknown-server"


async def test_a_credential_ends_with_its_server(client, anonymous, hub, ready_session):
    session = await ready_session()
    credential = await hub.credential()
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")
    async with asyncio.timeout(30):
        while (answer := await anonymous.post(REDEEM, json={"ticket": "x"}, headers=credential)).status_code != 401:
            await asyncio.sleep(0.05)

    assert problem(answer) == "unknown-server"


async def test_a_host_jwt_opens_nothing_of_the_bridges(client, host, ready_session):
    await ready_session()
    assert problem(await client.post(REDEEM, json={"ticket": "x"}, headers=host.bearer())) == "unknown-server"


async def test_a_bridge_cannot_reach_another_users_notebook(client, anonymous, hub, host, ready_session, new_notebook):
    await ready_session()
    credential = await hub.credential()
    anonymous.headers.update(host.bearer("grace"))
    hers = (await new_notebook())["id"]

    saved = await anonymous.put(
        f"/bridge/v1/notebooks/{hers}/content", content=b"{}", headers={**credential, "If-Match": '"1"'}
    )
    renamed = await anonymous.patch(f"/bridge/v1/notebooks/{hers}", json={"path": "x.ipynb"}, headers=credential)

    assert problem(saved) == problem(renamed) == "notebook-not-found"


async def test_a_save_sent_again_because_its_answer_got_lost_makes_one_version(
    client, hub, anonymous, new_notebook, ready_session
):
    notebook = await new_notebook()
    await ready_session(notebook)
    headers = {**await hub.credential(), "If-Match": '"1"'}
    content = json.dumps(document("sent twice")).encode()

    first = await anonymous.put(f"/bridge/v1/notebooks/{notebook['id']}/content", content=content, headers=headers)
    again = await anonymous.put(f"/bridge/v1/notebooks/{notebook['id']}/content", content=content, headers=headers)

    assert (first.json()["version"], first.json()["created"]) == (2, True)
    assert again.status_code == 200, again.text
    assert (again.json()["version"], again.json()["created"]) == (2, False)
    history = (await client.get(f"/v1/notebooks/{notebook['id']}/versions")).json()["items"]
    assert len(history) == 2


@pytest.mark.parametrize("meanwhile", [False, True], ids=["alone", "while somebody else saved"])
async def test_a_save_that_follows_one_whose_answer_got_lost_is_a_conflict_with_others_only(
    client, hub, anonymous, new_notebook, ready_session, meanwhile
):
    notebook = await new_notebook()
    await ready_session(notebook)
    path = f"/bridge/v1/notebooks/{notebook['id']}/content"
    headers = {**await hub.credential(), "If-Match": '"1"'}
    lost, last = (json.dumps(document(source)).encode() for source in ("lost", "last"))
    await anonymous.put(path, content=lost, headers=headers)
    if meanwhile:
        await client.put(
            f"/v1/notebooks/{notebook['id']}/content", json=document("theirs"), headers={"If-Match": '"2"'}
        )

    unanswered = ",".join(hashlib.sha256(content).hexdigest() for content in (b"never arrived", lost))
    answer = await anonymous.put(path, content=last, headers={**headers, "Inset-Unanswered": unanswered})

    newest = (await client.get(f"/v1/notebooks/{notebook['id']}/versions")).json()["items"][0]
    assert newest["parent"] == 2
    if meanwhile:
        assert problem(answer) == "version-conflict"
        assert newest["aside"] == "open"
    else:
        assert answer.json()["version"] == newest["number"] == 3


async def test_odd_hashes_of_unanswered_saves_are_refused(hub, anonymous, new_notebook, ready_session):
    notebook = await new_notebook()
    await ready_session(notebook)
    headers = {**await hub.credential(), "If-Match": '"1"', "Inset-Unanswered": "'; drop"}

    answer = await anonymous.put(f"/bridge/v1/notebooks/{notebook['id']}/content", content=b"{}", headers=headers)

    assert problem(answer) == "invalid-request"


async def test_an_autosaved_version_that_is_then_saved_on_purpose_counts_as_saved(
    client, hub, new_notebook, ready_session
):
    notebook = await new_notebook()
    await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]

    for origin in ("autosave", "save", "autosave"):
        await hub.save_in_jupyter(path, json.dumps(document("one text")), origin=origin)

    history = (await client.get(f"/v1/notebooks/{notebook['id']}/versions")).json()["items"]
    assert [(version["number"], version["origin"]) for version in history] == [(2, "save"), (1, "api")]


async def test_what_jupyter_saves_is_stored_even_if_it_is_no_notebook(
    client, hub, anonymous, new_notebook, ready_session
):
    notebook = await new_notebook()
    await ready_session(notebook)

    saved = await anonymous.put(
        f"/bridge/v1/notebooks/{notebook['id']}/content",
        content=b"\xff broken",
        headers={**await hub.credential(), "If-Match": '"1"'},
    )

    assert saved.status_code == 200
    assert (await client.get(f"/v1/notebooks/{notebook['id']}/content")).content == b"\xff broken"
    assert (await client.get(f"/v1/notebooks/{notebook['id']}/versions/2")).json()["valid"] is False


@pytest.mark.parametrize("content", [b'{"nbformat": 4, "nbformat_minor": 1e999}', b"[" * 100_000, b"", b"null"])
async def test_no_save_of_jupyters_is_an_accident(client, hub, anonymous, new_notebook, ready_session, content):
    notebook = await new_notebook()
    await ready_session(notebook)
    headers = {**await hub.credential(), "If-Match": '"1"'}

    saved = await anonymous.put(f"/bridge/v1/notebooks/{notebook['id']}/content", content=content, headers=headers)

    assert saved.status_code == 200
    assert (await client.get(f"/v1/notebooks/{notebook['id']}/versions/2")).json()["valid"] is False


@pytest.mark.parametrize(
    "path", ["", "/etc/x.ipynb", "../x.ipynb", "a//b.ipynb", "a/../b.ipynb", "a\0.ipynb", "x" * 2000]
)
async def test_a_path_that_leads_out_of_the_server_is_refused(hub, anonymous, new_notebook, ready_session, path):
    notebook = await new_notebook()
    await ready_session(notebook)

    renamed = await anonymous.patch(
        f"/bridge/v1/notebooks/{notebook['id']}", json={"path": path}, headers=await hub.credential()
    )

    assert problem(renamed) == "invalid-request"


async def test_the_way_in_is_encoded_whatever_the_files_name(
    client, hub, anonymous, ticket, ready_session, new_notebook
):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = f"work/{notebook['id']}/50 % of #1?.ipynb"
    await anonymous.patch(f"/bridge/v1/notebooks/{notebook['id']}", json={"path": path}, headers=await hub.credential())

    entry = (
        await anonymous.post(REDEEM, json={"ticket": await ticket(session)}, headers=await hub.credential())
    ).json()

    assert entry["next"].endswith("/50%20%25%20of%20%231%3F.ipynb")


async def test_a_file_renamed_in_jupyter_renames_the_notebook(client, hub, anonymous, new_notebook, ready_session):
    notebook = await new_notebook("Old")
    session = await ready_session(notebook)

    path = f"work/{notebook['id']}/New name.ipynb"
    answer = await anonymous.patch(
        f"/bridge/v1/notebooks/{notebook['id']}", json={"path": path}, headers=await hub.credential()
    )

    assert answer.json() == {"name": "New name"}
    assert (await client.get(f"/v1/notebooks/{notebook['id']}")).json()["name"] == "New name"
    async for kind, data in events(client, session["id"]):
        if kind == "renamed":
            assert data["name"] == "New name"
            break


async def test_a_notebook_made_in_jupyter_becomes_a_stored_one(client, hub, anonymous, ready_session):
    await ready_session()

    made = await anonymous.post(
        "/bridge/v1/notebooks",
        content=json.dumps(document("new")).encode(),
        headers={**await hub.credential(), "Inset-Name": quote("Größe/2")},
    )

    assert made.status_code == 201
    stored = (await client.get(f"/v1/notebooks/{made.json()['notebook_id']}")).json()
    assert (stored["name"], stored["version"]) == ("Größe/2", 1)


async def test_a_notebook_made_in_jupyter_is_stored_once_though_its_answer_got_lost(
    client, hub, anonymous, ready_session
):
    await ready_session()
    headers = {**await hub.credential(), "Inset-Name": "New", "Idempotency-Key": "k"}

    made = [await anonymous.post("/bridge/v1/notebooks", content=b"{}", headers=headers) for _ in range(2)]

    assert made[0].json() == made[1].json()
    assert [item["name"] for item in (await client.get("/v1/notebooks")).json()["items"]].count("New") == 1
