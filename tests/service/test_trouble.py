"""What a session and a caller are told when the hub or a server does not do its part."""

import asyncio
import json

import pytest
from sqlalchemy import text

from inset.db import open_database
from inset.models import HUB_SILENT, PULLING_IMAGE
from tests.fakes.fake_hub import FakeServer
from tests.service.conftest import document, events, problem, running_service, until

SECRET = "secret-of-the-hub"


async def told(client, id, *, waits_for, **options):
    """Wait until a session that starts is told that it waits for this; gives its progress."""
    async with asyncio.timeout(20):
        while True:
            session = (await client.get(f"/v1/sessions/{id}", **options)).json()
            assert session["state"] in ("queued", "starting"), session
            if session["progress"]["waits_for"] == waits_for:
                return session["progress"]
            await asyncio.sleep(0.05)


async def until_ready(client, id):
    """Read what a session that becomes ready was told of its progress."""
    heard = []
    async for kind, data in events(client, id):
        if kind == "ready":
            return heard
        heard.append(data)


@pytest.mark.parametrize("start_timeout", [10])
@pytest.mark.parametrize("queue_timeout", [11])
@pytest.mark.parametrize(
    ("trouble", "hub_timeout", "code"),
    [
        ("down", 30, "hub-unavailable"),
        ("slow", 1, "hub-unavailable"),
        ("error", 30, "hub-unavailable"),
        ("html", 30, "hub-unavailable"),
        ("busy", 30, "hub-busy"),
    ],
)
async def test_a_hub_in_trouble_fails_the_session_with_a_reason_and_nothing_of_its_own_words(
    client, hub, new_notebook, trouble, code
):
    notebook = await new_notebook()
    hub.trouble = trouble

    session = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    failed = await until(client, session["id"], "failed")

    assert failed["failure"]["code"] == code
    assert failed["failure"]["title"]
    assert SECRET not in json.dumps(failed)


@pytest.mark.parametrize("trouble", ["down", "error", "html", "busy"])
async def test_a_hub_that_comes_back_in_time_is_forgiven(client, hub, new_notebook, trouble):
    notebook = await new_notebook()
    hub.trouble = trouble
    session = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    if trouble == "busy":
        await asyncio.sleep(0.5)
        hub.trouble = None
    else:
        assert (await told(client, session["id"], waits_for="hub"))["percent"] == 0
        hub.come_back()

    assert (await until(client, session["id"], "ready", "failed"))["state"] == "ready"
    spells = [data["waits_for"] for data in await until_ready(client, session["id"])]
    # Once, however often it was asked.
    assert spells.count("hub") == (0 if trouble == "busy" else 1)
    assert spells[-1] is None


@pytest.mark.parametrize("hub_timeout", [6])
async def test_who_waits_for_a_hub_that_says_nothing_is_told_long_before_the_call_is_given_up(
    client, hub, new_notebook, host
):
    """Also who has no seat yet: three have, and none of the four was ever told that there is none."""
    hub.trouble = "slow"

    opened = []
    for user in ("ada", "grace", "mary", "joan"):
        as_user = host.bearer(user)
        notebook = (await client.post("/v1/notebooks", json={"name": "N"}, headers=as_user)).json()
        session = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=as_user)
        opened.append((as_user, session.json()["id"]))

    for as_user, id in opened:
        progress = await told(client, id, headers=as_user, waits_for="hub")
        assert progress == {"percent": 0, "message": HUB_SILENT, "waits_for": "hub"}
    async with asyncio.timeout(20):
        async for _, data in events(client, opened[3][1], headers=opened[3][0]):
            if data["position"]:
                assert (data["position"], data["waits_for"], data["message"]) == (4, "hub", HUB_SILENT)
                break


async def test_a_start_says_when_its_image_is_fetched_and_when_its_hub_is_away_and_goes_on_from_where_it_was(
    client, hub, new_notebook
):
    hub.pulls, hub.spawns_hold = asyncio.Event(), True
    session = (await client.post("/v1/sessions", json={"notebook_id": (await new_notebook())["id"]})).json()
    pulling = await told(client, session["id"], waits_for="image")

    # The word that tells no progress has not made it forget this.
    assert pulling == {"percent": 28, "message": PULLING_IMAGE, "waits_for": "image"}
    hub.pulls.set()
    assert (await told(client, session["id"], waits_for=None))["percent"] == 40
    hub.trouble = "down"
    hub.servers["seat-001"].cut.set()
    assert (await told(client, session["id"], waits_for="hub"))["percent"] == 40
    hub.trouble = None
    assert (await told(client, session["id"], waits_for=None))["percent"] == 40
    hub.finish_spawning()
    await until(client, session["id"], "ready")
    assert SECRET not in json.dumps(await until_ready(client, session["id"]))


async def test_that_its_hub_is_away_is_not_said_any_more_when_it_is_back_and_its_start_no_further(
    client, hub, new_notebook
):
    hub.spawns_hold = True
    session = (await client.post("/v1/sessions", json={"notebook_id": (await new_notebook())["id"]})).json()
    await hub.until(lambda: hub.servers)
    hub.trouble = "down"
    hub.servers["seat-001"].cut.set()
    await told(client, session["id"], waits_for="hub")

    hub.trouble = None

    assert (await told(client, session["id"], waits_for=None))["percent"] == 10
    hub.finish_spawning()
    await until(client, session["id"], "ready")


async def test_a_spawn_that_fails_at_once_fails_the_session(client, hub, new_notebook):
    notebook = await new_notebook()
    hub.spawns_fail = True

    session = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    failed = await until(client, session["id"], "failed")

    assert failed["failure"]["code"] == "spawn-failed"
    assert SECRET not in json.dumps(failed)


async def test_a_spawn_that_fails_later_fails_the_session_and_frees_the_seat(client, hub, new_notebook):
    hub.spawns_hold = True
    session = (await client.post("/v1/sessions", json={"notebook_id": (await new_notebook())["id"]})).json()
    await hub.until(lambda: hub.servers)

    hub.server().failed = True

    assert (await until(client, session["id"], "failed"))["failure"]["code"] == "spawn-failed"
    hub.spawns_hold = False
    async with asyncio.timeout(30):
        again = (await client.post("/v1/sessions", json={"notebook_id": session["notebook_id"]})).json()
        assert (await until(client, again["id"], "ready"))["state"] == "ready"


@pytest.mark.parametrize("start_timeout", [4])
async def test_a_spawn_that_hangs_is_given_up_and_stopped(client, hub, new_notebook):
    hub.spawns_hold = True

    session = (await client.post("/v1/sessions", json={"notebook_id": (await new_notebook())["id"]})).json()
    failed = await until(client, session["id"], "failed")

    assert failed["failure"]["code"] == "start-timeout"
    await hub.until(lambda: not hub.servers)


async def test_closing_a_session_that_is_still_starting_stops_the_start(client, hub, new_notebook):
    hub.spawns_hold = True
    session = (await client.post("/v1/sessions", json={"notebook_id": (await new_notebook())["id"]})).json()
    await hub.until(lambda: hub.servers)

    await client.delete(f"/v1/sessions/{session['id']}")

    async with asyncio.timeout(30):
        await until(client, session["id"], "ended")
    await hub.until(lambda: not hub.servers)


async def test_a_server_that_dies_after_it_was_ready_fails_its_sessions(client, hub, ready_session):
    session = await ready_session()

    hub.kill_server()

    assert (await until(client, session["id"], "failed"))["failure"]["code"] == "server-died"
    assert problem(await client.post(f"/v1/sessions/{session['id']}/iframe-url")) == "session-over"


@pytest.mark.parametrize("closed", [False, True], ids=["in use", "closed just before it was noticed"])
async def test_what_a_server_that_died_had_written_is_stored_before_its_notebook_opens_again(
    client, hub, ready_session, closed
):
    session = await ready_session()
    [written] = hub.server().documents.values()
    hub.server().owed[written["path"]] = json.dumps(document("written, and not sent"))
    hub.spawns_hold = True

    hub.kill_server()
    if closed:
        await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "failed", "ended")
    again = (await client.post("/v1/sessions", json={"notebook_id": session["notebook_id"]})).json()
    async with asyncio.timeout(30):
        # The one that died holds its seat until it has started once more.
        while "seat-002" not in hub.servers:
            await asyncio.sleep(0.02)
    hub.finish_spawning("seat-001")
    hub.finish_spawning("seat-002")

    assert (await until(client, again["id"], "ready"))["version"] == 2
    content = (await client.get(f"/v1/notebooks/{session['notebook_id']}/content")).json()
    assert content["cells"][0]["source"] == "written, and not sent"
    assert hub.server("seat-002").files
    async with asyncio.timeout(30):
        while "seat-001" in hub.servers:
            await asyncio.sleep(0.02)


async def test_a_server_that_died_and_cannot_start_again_gives_its_seat_back(
    client, host, hub, new_notebook, ready_session
):
    session = await ready_session()
    hub.spawns_fail = True
    hub.kill_server()
    await until(client, session["id"], "failed")
    async with asyncio.timeout(30):
        while hub.requests.count("POST /hub/api/users/seat-001/server") < 2:
            await asyncio.sleep(0.02)
    hub.spawns_fail = False

    again = (await client.post("/v1/sessions", json={"notebook_id": session["notebook_id"]})).json()
    assert (await until(client, again["id"], "ready"))["version"] == 1
    client.headers.update(host.bearer("grace"))
    await ready_session()

    assert sorted(hub.servers) == ["seat-001", "seat-002"]


async def test_saving_while_the_server_is_deaf_is_a_problem_and_not_a_lie(client, hub, ready_session):
    session = await ready_session()
    hub.server().deaf = True

    answer = await client.post(f"/v1/sessions/{session['id']}/save")

    assert answer.status_code == 503
    assert problem(answer) == "server-gone"


async def test_a_server_that_answers_nonsense_is_a_problem(client, hub, ready_session):
    session = await ready_session()
    hub.nonsense = True

    assert problem(await client.post(f"/v1/sessions/{session['id']}/save")) == "server-gone"


async def test_a_slow_upload_keeps_nobody_else_waiting(client, anonymous, host, new_notebook):
    notebook = await new_notebook()
    content = json.dumps(document("slow")).encode()
    begun, others_served = asyncio.Event(), asyncio.Event()

    async def trickle():
        yield content[:10]
        begun.set()
        await others_served.wait()
        yield content[10:]

    upload = asyncio.create_task(
        client.put(f"/v1/notebooks/{notebook['id']}/content", content=trickle(), headers={"If-Match": '"1"'})
    )
    async with asyncio.timeout(30):
        await begun.wait()
        made = await anonymous.post("/v1/notebooks", json={"name": "Quick"}, headers=host.bearer("grace"))

    assert not upload.done()
    assert made.status_code == 201
    others_served.set()
    assert (await upload).status_code == 200


async def test_an_accident_can_be_read_by_the_page_that_met_it(client, host, settings, new_notebook):
    notebook = await new_notebook()
    async with open_database(settings.database_url) as database, database.transaction() as db:
        await db.exec(text("DROP TABLE bodies"))

    answer = await client.get(f"/v1/notebooks/{notebook['id']}/content", headers={"Origin": host.origins[0]})

    assert problem(answer) == "internal-error"
    assert answer.headers["Access-Control-Allow-Origin"] == host.origins[0]


async def test_saving_while_the_hub_is_down_needs_nothing_of_it(client, hub, ready_session):
    session = await ready_session()
    hub.server().page_edits[hub.server().documents[session["notebook_id"]]["path"]] = json.dumps(document("typed"))
    hub.trouble = "down"

    answer = await client.post(f"/v1/sessions/{session['id']}/save")

    assert (answer.status_code, answer.json()["version"]) == (200, 2)


async def test_a_bridge_that_knows_no_signature_is_saved_by_a_hub_that_is_up(client, hub, ready_session):
    hub.knows_calls = False
    session = await ready_session()
    hub.trouble = "down"
    answer = await client.post(f"/v1/sessions/{session['id']}/save")
    assert problem(answer) == "hub-unavailable"
    assert answer.headers["Retry-After"] == "5"

    hub.trouble = None

    assert (await client.post(f"/v1/sessions/{session['id']}/save")).status_code == 200


async def test_a_hub_that_is_down_is_told_by_readyz_and_not_by_healthz(anonymous, hub):
    assert (await anonymous.get("/readyz")).status_code == 200
    hub.trouble = "down"

    assert problem(await anonymous.get("/readyz")) == "not-ready"
    assert (await anonymous.get("/healthz")).json() == {"status": "ok"}


async def test_a_seat_that_holds_somebody_elses_server_is_cleared_first(client, hub, ready_session):
    stale = hub.servers["seat-001"] = FakeServer("seat-001", {"server_id": "of an older database"})
    stale.ready.set()

    await ready_session()

    assert hub.server() is not stale


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/v1/notebooks/a/b/c"])
async def test_an_unknown_path_is_a_problem_too(client, path):
    assert problem(await client.get(path)) == "not-found"


async def test_a_wrong_method_is_a_problem_too(client):
    assert problem(await client.put("/v1/notebooks")) == "method-not-allowed"


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'"x"', b'{"name": 7}', b'{"name": "x", "extra": 1}'])
async def test_a_malformed_request_is_told_where_it_is_wrong(client, body):
    answer = await client.post("/v1/notebooks", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert problem(answer) == "invalid-request"
    assert answer.json()["errors"]


async def test_an_error_that_nobody_foresaw_tells_nothing_of_itself(client, settings, new_notebook):
    # A database that somebody has damaged: the service can do nothing about it, and must not tell of it.
    notebook = await new_notebook(content=document("x"))
    async with open_database(settings.database_url) as database, database.transaction() as db:
        await db.exec(text("DROP TABLE bodies"))

    answer = await client.get(f"/v1/notebooks/{notebook['id']}/content")

    assert answer.status_code == 500
    assert problem(answer) == "internal-error"
    assert "bodies" not in answer.text


async def test_a_server_that_shares_its_origin_fails_the_session(client, hub, new_notebook):
    hub.isolated = False

    session = (await client.post("/v1/sessions", json={"notebook_id": (await new_notebook())["id"]})).json()
    failed = await until(client, session["id"], "ready", "failed")

    assert failed["failure"]["code"] == "shared-origin"
    assert "inset doctor" in failed["failure"]["detail"]
    await hub.until(lambda: not hub.servers)


async def test_a_shared_origin_that_is_acknowledged_lets_sessions_start(settings, hub, host):
    hub.isolated = False
    allowed = settings.model_copy(update={"allow_shared_origin": True})
    async with running_service(allowed, hub, **host.bearer("ada")) as client:
        notebook = (await client.post("/v1/notebooks", json={"name": "Shared", "content": document("1")})).json()
        session = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()

        assert (await until(client, session["id"], "ready", "failed"))["state"] == "ready"


async def test_a_hub_that_is_away_is_one_line_in_the_log_each_time(anonymous, hub, caplog):
    hub.trouble = "down"

    await anonymous.get("/readyz")

    [told] = [record for record in caplog.records if "readyz" in record.getMessage()]
    assert "not-ready" in told.getMessage()
    assert "hub (unreachable)" in told.getMessage()
    assert told.exc_info is None
