"""The audit log: who did what, written with the act itself, read by the host's backend and at the command line."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from inset.db import open_database
from inset.models import Audit
from tests.service.conftest import document, problem, running_service, until

pytestmark = pytest.mark.each_database


@pytest.fixture
def acts(anonymous, host):
    """List what the host's backend sees, oldest first."""

    async def listed(**wanted):
        answer = await anonymous.get("/v1/audit", params=wanted, headers=host.backend_bearer("anybody"))
        assert answer.status_code == 200, answer.text
        return answer.json()["items"][::-1]

    return listed


def _actions(acts):
    return [act["action"] for act in acts]


async def test_a_notebooks_life_is_told_with_who_when_and_in_which_request(client, host, acts, new_notebook):
    began = datetime.now(UTC) - timedelta(seconds=30)
    notebook = await new_notebook()
    path = f"/v1/notebooks/{notebook['id']}"
    saved = await client.put(f"{path}/content", json=document("2"), headers={"If-Match": '"1"', "X-Request-Id": "r-2"})
    await client.patch(path, json={"name": "Other"})
    await client.get(f"{path}/content", headers=host.backend_bearer("ada"))
    await client.get(f"{path}/versions/1/content")
    await client.get(f"{path}/diff?from=1&to=2")
    await client.get(f"{path}/preview")
    await client.post(f"{path}/versions/1/restore")
    await client.delete(path)
    await client.post(f"{path}/undelete")

    told = await acts(notebook_id=notebook["id"])

    assert _actions(told) == [
        "notebook.created",
        "notebook.saved",
        "notebook.renamed",
        "notebook.downloaded",
        "notebook.downloaded",
        "notebook.compared",
        "notebook.previewed",
        "notebook.saved",
        "notebook.deleted",
        "notebook.undeleted",
    ]
    assert {(act["host_id"], act["user"]) for act in told} == {("demo", "ada")}
    assert [act["actor"] for act in told] == ["user"] * 3 + ["backend"] + ["user"] * 6
    assert all(datetime.fromisoformat(act["at"]) > began and act["request_id"] for act in told)
    assert (told[1]["request_id"], saved.headers["X-Request-Id"]) == ("r-2", "r-2")
    assert told[1]["facts"] == {"version": 2, "sha256": saved.json()["sha256"], "origin": "api"}
    assert (told[3]["facts"], told[4]["facts"]) == ({"version": 2}, {"version": 1})
    assert told[7]["facts"]["origin"] == "restore"


async def test_what_a_reader_has_already_is_no_download(client, acts, new_notebook):
    notebook = await new_notebook()

    answer = await client.get(f"/v1/notebooks/{notebook['id']}/content", headers={"If-None-Match": '"1"'})

    assert answer.status_code == 304
    assert _actions(await acts(notebook_id=notebook["id"])) == ["notebook.created"]


async def test_what_was_refused_was_not_done(client, acts, new_notebook, ready_session):
    notebook = await new_notebook()
    await ready_session(notebook)
    before = await acts()

    assert (await client.delete(f"/v1/notebooks/{notebook['id']}")).status_code == 409
    assert (await client.get("/v1/notebooks/none/content")).status_code == 404

    assert await acts() == before


async def test_a_session_is_told_from_its_opening_to_its_end(client, hub, host, acts, new_notebook, ready_session):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    url = (await client.post(f"/v1/sessions/{session['id']}/iframe-url")).json()["url"]
    ticket = url.partition("#ticket=")[2]
    credential = await hub.credential()
    for expected in (200, 403):
        entered = await hub.service.post("/bridge/v1/tickets/redeem", json={"ticket": ticket}, headers=credential)
        assert entered.status_code == expected
    path = hub.server().documents[notebook["id"]]["path"]
    await hub.save_in_jupyter(path, json.dumps(document("2")), origin="save")
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")

    told = await acts(session_id=session["id"])

    assert [(act["action"], act["actor"]) for act in told] == [
        ("session.opened", "user"),
        ("session.entered", "server"),
        ("notebook.saved", "server"),
        ("session.ending", "user"),
    ]
    assert told[0]["facts"]["may"]
    assert told[-1]["facts"] == {"reason": "closed"}
    assert {act["user"] for act in told} == {"ada"}


async def test_of_a_run_of_autosaves_the_first_is_told(client, hub, acts, new_notebook, ready_session):
    notebook = await new_notebook()
    await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    hour = datetime.now(UTC).hour
    for number in range(4):
        await hub.save_in_jupyter(path, json.dumps(document(f"{number}")))
    # Somebody means what the last autosave stored: no new version, and an act all the same.
    await hub.save_in_jupyter(path, json.dumps(document("3")), origin="save")
    await hub.save_in_jupyter(path, json.dumps(document("4")))
    if datetime.now(UTC).hour != hour:
        pytest.skip("the hour has just struck")

    saves = [(act["facts"]["version"], act["facts"]["origin"]) for act in await acts(action="notebook.saved")]

    assert saves == [(2, "autosave"), (5, "save"), (6, "autosave")]


async def test_a_conflict_is_told_as_kept_aside(client, acts, new_notebook):
    notebook = await new_notebook()
    for number in (1, 2):
        await client.put(
            f"/v1/notebooks/{notebook['id']}/content", json=document(f"{number}"), headers={"If-Match": '"1"'}
        )

    told = await acts(action="notebook.saved")

    assert [act["facts"].get("aside", False) for act in told] == [False, True]


async def test_a_session_that_is_ended_by_nobody_in_particular_is_ended_by_the_service(
    client, hub, acts, ready_session
):
    session = await ready_session()

    hub.kill_server()
    await until(client, session["id"], "failed")

    [told] = await acts(action="session.failed")
    assert (told["actor"], told["request_id"], told["facts"]) == ("service", None, {"code": "server-died"})


async def test_a_host_sees_its_own_users_alone_and_users_see_nothing(client, host, other_host, acts, new_notebook):
    await new_notebook()

    others = await client.get("/v1/audit", headers=other_host.backend_bearer("ada"))
    assert _actions(others.json()["items"]) == ["host.registered"]
    assert problem(await client.get("/v1/audit")) == "backend-only"
    assert "notebook.created" in _actions(await acts())


async def test_the_log_is_read_page_by_page_and_narrowed(client, host, acts):
    for user in ("ada", "grace"):
        for number in range(3):
            await client.post("/v1/notebooks", json={"name": f"{number}"}, headers=host.bearer(user))
    pages, cursor = [], None
    while True:
        wanted = {"limit": 2, "user": "grace", **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/v1/audit", params=wanted, headers=host.backend_bearer("x"))).json()
        pages += page["items"]
        if not (cursor := page["next_cursor"]):
            break

    assert [act["user"] for act in pages] == ["grace"] * 3
    assert sorted((act["id"] for act in pages), reverse=True) == [act["id"] for act in pages]
    assert await acts(until=pages[0]["at"], user="grace") == pages[:0:-1]
    assert await acts(since="2999-01-01T00:00:00Z") == []
    for wrong in ({"since": "yesterday"}, {"action": "notebook.eaten"}, {"cursor": "x"}, {"since": "2026-01-01T00:00"}):
        answer = await client.get("/v1/audit", params=wrong, headers=host.backend_bearer("x"))
        assert answer.status_code == 422, wrong


async def test_what_operators_do_is_told_and_exported(anonymous, host, settings, command, tmp_path):
    secret = (await command("hosts", "rotate", "demo", "--kid", "demo-2"))[1].strip()
    await command("hosts", "rotate", "demo", "--retire", "demo-1")
    await command("users", "revoke", "demo", "ada")
    await command("hosts", "remove", "demo")

    code, told, _ = await command("audit", "--host", "demo")

    assert code == 0
    acts = [json.loads(line) for line in told.splitlines()]
    assert [act["action"] for act in acts if act["actor"] == "operator"][-4:] == [
        "host.key-added",
        "host.key-retired",
        "user.revoked",
        "host.removed",
    ]
    assert secret not in told
    last = acts[-2]["id"]
    assert [json.loads(line)["id"] for line in (await command("audit", "--after", str(last)))[1].splitlines()] == [
        acts[-1]["id"]
    ]
    assert (await command("audit", "--since", "2999-01-01"))[1] == ""
    assert (await command("audit", "--since", "2000-01-01", "--action", "user.revoked"))[1].count("\n") == 1


@pytest.mark.each_database
async def test_draining_a_hub_and_resuming_it_are_acts_that_no_host_reads(client, host, settings, command):
    later = ("drain", "default", "--end-by", "PT1H")
    for wish in (("drain", "default"), ("drain", "default"), later, ("resume", "default"), ("resume", "default")):
        assert (await command("hubs", *wish))[0] == 0

    acts = [json.loads(line) for line in (await command("audit"))[1].splitlines()]
    acts = [act for act in acts if act["action"].startswith("hub.")]
    # What was so already is no act.
    assert [(act["action"], act["facts"]["hub"]) for act in acts] == [
        ("hub.drained", "default"),
        ("hub.drained", "default"),
        ("hub.resumed", "default"),
    ]
    assert {act["actor"] for act in acts} == {"operator"}
    assert acts[0]["facts"]["end_at"] is None
    assert datetime.fromisoformat(acts[1]["facts"]["end_at"]) > datetime.now(UTC) + timedelta(minutes=50)
    read = (await client.get("/v1/audit", headers=host.backend_bearer("x"))).json()["items"]
    assert not [act for act in read if act["action"].startswith("hub.")]


async def test_registering_hosts_anew_without_a_change_is_no_act(settings, command, tmp_path, host, other_host):
    file = tmp_path / "hosts.toml"

    await command("hosts", "apply", str(file))
    before = (await command("audit"))[1]
    file.write_text(file.read_text().replace("http://localhost:8090", "https://new.example"))
    await command("hosts", "apply", str(file))

    after = (await command("audit"))[1]
    assert after.startswith(before)
    assert [json.loads(line)["host_id"] for line in after[len(before) :].splitlines()] == ["demo"]


async def test_no_row_is_changed(anonymous, host, settings, new_notebook):
    await new_notebook()

    async with open_database(settings.database_url) as database:
        with pytest.raises(DBAPIError, match="stay as they are"):
            async with database.transaction() as db:
                await db.exec(text("UPDATE audit SET facts = '{}'"))


async def test_rows_go_when_their_time_is_over(settings, hub, host):
    old = settings.model_copy(update={"audit_kept_for": timedelta(days=10)})
    async with open_database(settings.database_url) as database:
        async with database.transaction() as db:
            for days in (11, 9):
                db.add(Audit(at=datetime.now(UTC) - timedelta(days=days), action="x", actor="x", host_id=f"{days}"))
        async with running_service(old, hub), asyncio.timeout(30):
            left = ["11"]
            while "11" in left:
                await asyncio.sleep(0.05)
                async with database.transaction(read_only=True) as db:
                    left = list((await db.exec(select(Audit.host_id))).all())
    assert "9" in left
