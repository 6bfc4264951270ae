"""Sessions, through HTTP, from the opening to the end."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from inset import steps
from inset.clock import now
from inset.documents import uploaded_document
from inset.models import HUB_SILENT, Server, Session
from tests.fakes.fake_hub import FakeServer
from tests.service.conftest import document, events, execute, problem, quiet_for, running_service, stopped, until

pytestmark = pytest.mark.each_database


async def test_opening_answers_at_once_and_tells_its_progress(client, hub, new_notebook):
    hub.spawns_hold = True
    notebook = await new_notebook()

    opened = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})

    assert opened.status_code == 202
    session = opened.json()
    assert opened.headers["Location"] == f"/v1/sessions/{session['id']}"
    assert (session["state"], session["embeddable"], session["failure"]) == ("queued", None, None)
    told = []
    async for kind, data in events(client, session["id"]):
        told.append((kind, data.get("percent")))
        if data.get("state") == "starting":
            hub.finish_spawning()
        if kind == "ready":
            break
    percents = [percent for kind, percent in told if kind == "progress"]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert (await client.get(f"/v1/sessions/{session['id']}")).json()["state"] == "ready"


async def test_the_server_gets_the_exact_bytes_and_the_hosts_origins(client, hub, host, new_notebook, ready_session):
    notebook = await new_notebook("Q3/Q4: über 🚀", document("print('ü')"))

    session = await ready_session(notebook)

    server = hub.server()
    assert server.options["origins"] == list(host.origins)
    path = f"work/{notebook['id']}/Q3-Q4-über.ipynb"
    assert server.files[path].encode() == uploaded_document(json.dumps(document("print('ü')")).encode()).content
    assert server.documents[notebook["id"]]["version"] == session["version"] == 1


async def test_a_known_user_costs_the_hub_no_listing_and_no_polling(client, hub, ready_session):
    await ready_session()

    starts = [request for request in hub.requests if not request.endswith("/users/seat-001")]
    assert starts == [
        "POST /hub/api/users/seat-001/server",
        "GET /hub/api/users/seat-001/server/progress",
    ]


async def test_a_notebook_that_is_open_already_is_joined(client, ready_session, new_notebook):
    notebook = await new_notebook()
    session = await ready_session(notebook)

    again = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})

    assert (again.status_code, again.json()["id"]) == (200, session["id"])


async def test_two_requests_at_once_open_one_session(client, new_notebook):
    notebook = await new_notebook()

    answers = await asyncio.gather(
        *[client.post("/v1/sessions", json={"notebook_id": notebook["id"]}) for _ in range(5)]
    )

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 202]
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.fixture
async def unchecked(settings, hub, host):
    """A user's client of a service of which no round looks at servers, and so none notices what became of one."""
    seldom = settings.model_copy(update={"check_interval": timedelta(hours=1)})
    async with running_service(seldom, hub, **host.bearer("ada")) as client:
        yield client


async def test_a_second_notebook_of_a_user_shares_his_server_and_costs_the_hub_nothing(unchecked, hub):
    await _opened(unchecked, "first")
    hub.requests.clear()
    session = await _opened(unchecked, "second")
    states = await _states_until_ready(unchecked, session)

    assert list(hub.servers) == ["seat-001"]
    assert len(hub.server().documents) == 2
    assert hub.requests == []
    assert states == ["queued", "starting", "loading", "ready"]


async def test_a_second_notebook_waits_for_a_hub_that_is_away_since_its_frame_needs_it(
    client, hub, new_notebook, ready_session
):
    await ready_session()
    hub.trouble = "down"
    await client.get("/readyz")  # which notices it
    second = await new_notebook()
    session = (await client.post("/v1/sessions", json={"notebook_id": second["id"]})).json()

    async for _, data in events(client, session["id"]):
        if data.get("message") == HUB_SILENT:
            break
    assert second["id"] not in hub.server().documents
    hub.trouble = None
    await until(client, session["id"], "ready")


async def test_a_second_notebook_in_a_server_that_knows_no_signature_is_looked_up_and_loaded(unchecked, hub):
    hub.knows_calls = False
    await _opened(unchecked, "first")
    hub.requests.clear()
    await _opened(unchecked, "second")

    assert len(hub.server().documents) == 2
    assert hub.requests == ["GET /hub/api/users/seat-001", "POST /hub/api/users/seat-001/tokens"]


async def test_another_server_in_the_seat_does_not_take_a_second_notebook(unchecked, hub):
    await _opened(unchecked, "first")
    mine, other = hub.server().options["server_id"], FakeServer("seat-001", {"server_id": "somebody else's"})
    other.credential = {"call_key": "of another server"}
    other.ready.set()
    hub.servers["seat-001"] = other
    await _opened(unchecked, "second")

    assert other.documents == {}
    assert hub.server().options["server_id"] == mine
    assert len(hub.started) == 2


async def test_a_second_notebook_finds_a_server_that_is_gone_started_again(unchecked, hub):
    for name in ("first", "second"):
        hub.servers.clear()
        await _opened(unchecked, name)

    assert list(hub.servers) == ["seat-001"]
    assert len(hub.started) == 2


async def _opening(client, name="N"):
    notebook = (await client.post("/v1/notebooks", json={"name": name})).json()
    return (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()


async def _opened(client, name):
    session = await _opening(client, name)
    await until(client, session["id"], "ready")
    return session


async def _states_until_ready(client, session):
    """The states that a session's progress told, from its first event to the one that it is ready."""
    states = []
    async for kind, data in events(client, session["id"], after=0):
        if kind == "ready":
            return states
        states.append(data["state"])
    raise AssertionError(states)


async def test_two_users_get_two_seats(client, anonymous, hub, host, ready_session, new_notebook):
    await ready_session()
    anonymous.headers.update(host.bearer("grace"))

    await ready_session(await new_notebook())

    assert sorted(hub.servers) == ["seat-001", "seat-002"]


async def test_the_iframe_url_carries_its_ticket_in_the_fragment(client, ready_session):
    session = await ready_session()

    answer = await client.post(f"/v1/sessions/{session['id']}/iframe-url")

    assert answer.status_code == 201
    url = urlsplit(answer.json()["url"])
    assert (url.netloc, url.path, url.query) == ("seat-001.nb.localhost:8000", "/user/seat-001/inset/enter", "")
    assert url.fragment.startswith("ticket=ey")
    expires = datetime.fromisoformat(answer.json()["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=50) < expires <= timedelta(seconds=60)


async def test_an_iframe_url_before_the_session_is_ready_or_after_its_end_is_refused(client, hub, new_notebook):
    hub.spawns_hold = True
    id = (await client.post("/v1/sessions", json={"notebook_id": (await new_notebook())["id"]})).json()["id"]
    assert problem(await client.post(f"/v1/sessions/{id}/iframe-url")) == "session-not-ready"
    assert problem(await client.post(f"/v1/sessions/{id}/save")) == "session-not-ready"

    await client.delete(f"/v1/sessions/{id}")
    await until(client, id, "ended")

    assert problem(await client.post(f"/v1/sessions/{id}/iframe-url")) == "session-over"
    assert problem(await client.post(f"/v1/sessions/{id}/save")) == "session-over"


async def test_the_hosts_save_brings_unsaved_edits_into_the_database(client, hub, new_notebook, ready_session):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    hub.server().page_edits[path] = json.dumps(document("typed, not saved"))

    saved = await client.post(f"/v1/sessions/{session['id']}/save")

    assert saved.status_code == 200
    assert (saved.json()["version"], saved.json()["created"], saved.json()["flushed"]) == (2, True, True)
    assert "typed, not saved" in (await client.get(f"/v1/notebooks/{notebook['id']}/content")).text
    again = (await client.post(f"/v1/sessions/{session['id']}/save")).json()
    assert (again["version"], again["created"]) == (2, False)


async def test_a_save_inside_jupyter_reaches_the_database_and_the_host_hears_of_it(
    client, hub, new_notebook, ready_session
):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]

    await hub.save_in_jupyter(path, json.dumps(document("by Ctrl+S")), origin="save")

    async for kind, data in events(client, session["id"]):
        if kind == "saved":
            assert (data["version"], data["origin"], data["author"]) == (2, "save", "ada")
            break
    version = (await client.get(f"/v1/notebooks/{notebook['id']}/versions/2")).json()
    assert (version["origin"], version["sha256"]) == ("save", data["sha256"])


async def test_a_stream_resumes_after_the_last_event_that_was_seen(client, hub, ready_session):
    session = await ready_session()
    await client.delete(f"/v1/sessions/{session['id']}")

    whole = [event async for event in events(client, session["id"])]
    rest = [event async for event in events(client, session["id"], after=whole[1][1]["id"])]

    assert rest == whole[2:]
    assert [kind for kind, _ in whole[-2:]] == ["ending", "ended"]
    # Early enough for its page to hand over what was not saved.
    assert (whole[-2][1]["reason"], whole[-2][1]["in"]) == ("closed", 4)


async def test_the_stream_of_a_session_that_is_over_ends_whatever_was_seen_of_it(client, ready_session):
    session = await ready_session()
    await client.delete(f"/v1/sessions/{session['id']}")
    whole = [data["id"] async for _, data in events(client, session["id"])]

    async with asyncio.timeout(30):
        assert [kind async for kind, _ in events(client, session["id"], after=whole[-1])] == []


async def test_closing_saves_first_and_frees_the_seat(client, hub, new_notebook, ready_session):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    hub.server().page_edits[path] = json.dumps(document("the last words"))

    closed = await client.delete(f"/v1/sessions/{session['id']}")

    assert (closed.status_code, closed.json()["state"]) == (202, "ending")
    assert (await until(client, session["id"], "ended"))["ending_reason"] == "closed"
    assert "the last words" in (await client.get(f"/v1/notebooks/{notebook['id']}/content")).text
    await hub.until(lambda: not hub.servers)


async def test_closing_one_of_two_sessions_keeps_the_server_and_closes_the_kernel(
    client, hub, new_notebook, ready_session
):
    notebook = await new_notebook()
    first, second = await ready_session(notebook), await ready_session()
    path = hub.server().documents[notebook["id"]]["path"]
    hub.server().kernels = {"k1": path, "k2": "other.ipynb"}

    await client.delete(f"/v1/sessions/{first['id']}")
    await until(client, first["id"], "ended")

    assert hub.server().kernels == {"k2": "other.ipynb"}
    assert (await client.get(f"/v1/sessions/{second['id']}")).json()["state"] == "ready"


async def test_what_was_saved_is_there_when_the_notebook_is_opened_again(client, hub, new_notebook, ready_session):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    await hub.save_in_jupyter(path, json.dumps(document("yesterday's work")))
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")

    await ready_session(notebook)

    texts = [text for server in hub.servers.values() for text in server.files.values()]
    assert any("yesterday's work" in text for text in texts)


async def test_reopening_while_the_last_save_is_under_way_waits_for_it(client, hub, new_notebook, ready_session):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    hub.server().page_edits[path] = json.dumps(document("just typed"))

    await client.delete(f"/v1/sessions/{session['id']}")
    reopened = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    await until(client, reopened["id"], "ready")

    assert reopened["id"] != session["id"]
    assert any("just typed" in text for server in hub.servers.values() for text in server.files.values())


async def test_restoring_in_a_running_session_saves_first_and_then_shows_the_old_version(
    client, hub, new_notebook, ready_session
):
    notebook = await new_notebook(content=document("first"))
    await ready_session(notebook)
    attached = hub.server().documents[notebook["id"]]
    hub.server().page_edits[attached["path"]] = json.dumps(document("unsaved"))

    restored = await client.post(f"/v1/notebooks/{notebook['id']}/versions/1/restore")

    assert (restored.status_code, restored.json()["number"]) == (201, 3)
    assert "unsaved" in (await client.get(f"/v1/notebooks/{notebook['id']}/versions/2/content")).text
    assert "first" in hub.server().files[attached["path"]]
    assert hub.server().documents[notebook["id"]]["version"] == 3


async def test_a_hosts_put_during_a_session_makes_the_pages_next_save_a_conflict_and_loses_nothing(
    client, hub, new_notebook, ready_session
):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    await client.put(f"/v1/notebooks/{notebook['id']}/content", json=document("host's"), headers={"If-Match": '"1"'})

    answer = await hub.save_in_jupyter(path, json.dumps(document("page's")))

    assert problem(answer) == "version-conflict"
    assert "host's" in (await client.get(f"/v1/notebooks/{notebook['id']}/content")).text
    assert "page's" in (await client.get(f"/v1/notebooks/{notebook['id']}/versions/3/content")).text
    async for kind, data in events(client, session["id"]):
        if kind == "conflict":
            assert (data["current_version"], data["kept_version"]) == (2, 3)
            break


async def test_an_open_notebook_cannot_be_deleted(client, new_notebook, ready_session):
    notebook = await new_notebook()
    session = await ready_session(notebook)

    answer = await client.delete(f"/v1/notebooks/{notebook['id']}")

    assert problem(answer) == "notebook-in-use"
    assert answer.json()["session_id"] == session["id"]


async def test_sessions_are_listed_and_strangers_see_none(client, anonymous, host, ready_session):
    session = await ready_session()
    live = (await client.get("/v1/sessions", params={"state": "live"})).json()["items"]
    assert [item["id"] for item in live] == [session["id"]]

    stranger = host.bearer("grace")
    assert (await anonymous.get("/v1/sessions", headers=stranger)).json()["items"] == []
    for method, path in [("GET", ""), ("DELETE", ""), ("GET", "/events"), ("POST", "/iframe-url"), ("POST", "/save")]:
        answer = await anonymous.request(method, f"/v1/sessions/{session['id']}{path}", headers=stranger)
        assert problem(answer) == "session-not-found", path


async def test_when_all_seats_are_taken_a_session_waits_for_one(
    client, anonymous, hub, host, ready_session, new_notebook
):
    taken = []
    for user in ("u1", "u2", "u3"):
        anonymous.headers.update(host.bearer(user))
        taken.append((user, await ready_session(await new_notebook())))
    anonymous.headers.update(host.bearer("u4"))
    waiting = (await client.post("/v1/sessions", json={"notebook_id": (await new_notebook())["id"]})).json()
    await asyncio.sleep(0.2)
    assert (await client.get(f"/v1/sessions/{waiting['id']}")).json()["state"] == "queued"

    user, session = taken[0]
    await client.delete(f"/v1/sessions/{session['id']}", headers=host.bearer(user))

    assert (await until(client, waiting["id"], "ready", "failed"))["state"] == "ready"


async def test_an_idle_server_is_saved_and_ended(client, settings, hub, ready_session):
    session = await ready_session()

    await quiet_for(settings, hub, timedelta(hours=2))

    assert (await until(client, session["id"], "ended"))["ending_reason"] == "idle"


async def test_while_people_work_a_server_is_not_idle_whatever_the_hub_has_heard(client, settings, hub, ready_session):
    session = await ready_session()
    await hub.tell_activity()
    await _looked_up(hub)  # the look that was just being taken has not heard of it
    await quiet_for(settings, hub, timedelta(hours=2))

    await _looked_up(hub)

    assert (await client.get(f"/v1/sessions/{session['id']}")).json()["state"] == "ready"


async def test_what_we_ask_of_a_server_does_not_keep_it(client, settings, hub, ready_session):
    session = await ready_session()
    await hub.tell_activity()
    await execute(settings, update(Server).values(active_at=now() - timedelta(hours=2)))

    # Only what its bridge calls work does, though the hub hears of every request.
    assert (await client.post(f"/v1/sessions/{session['id']}/save")).status_code == 200
    hub.server().last_activity = now()

    # Only now is it old enough: it could else have ended before it was asked for anything.
    await execute(settings, update(Session).values(created_at=now() - timedelta(hours=2)))
    assert (await until(client, session["id"], "ended"))["ending_reason"] == "idle"


async def test_a_late_report_of_activity_takes_nothing_back(client, settings, hub, ready_session):
    session = await ready_session()
    await hub.tell_activity()
    await hub.tell_activity(7200)
    await _looked_up(hub)
    await quiet_for(settings, hub, timedelta(hours=2))

    await _looked_up(hub)

    assert (await client.get(f"/v1/sessions/{session['id']}")).json()["state"] == "ready"


async def test_a_session_opened_just_now_is_not_idle_whatever_the_hub_has_heard(client, hub, ready_session):
    await ready_session()
    hub.server().last_activity -= timedelta(hours=2)

    session = await ready_session()
    await _looked_up(hub)

    assert (await client.get(f"/v1/sessions/{session['id']}")).json()["state"] == "ready"


async def test_what_opened_a_users_server_does_not_open_the_next_ones_in_the_same_seat(
    client, anonymous, settings, hub, host, ready_session, new_notebook
):
    session = await ready_session()
    ticket = (await client.post(f"/v1/sessions/{session['id']}/iframe-url")).json()["url"].partition("#ticket=")[2]
    entry = await anonymous.post("/bridge/v1/tickets/redeem", json={"ticket": ticket}, headers=await hub.credential())
    assert hub.tokens[entry.json()["hub_token"]] == "seat-001"
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")

    await stopped(settings)

    anonymous.headers.update(host.bearer("grace"))
    await ready_session(await new_notebook())

    assert list(hub.servers) == ["seat-001"]
    assert entry.json()["hub_token"] not in hub.tokens


async def test_closing_a_waiting_session_at_another_replica_does_not_bring_it_back(settings, hub, host):
    async with (
        running_service(settings, hub, **host.bearer()) as one,
        running_service(settings, hub, **host.bearer()) as two,
    ):
        for user in ("u1", "u2", "u3"):
            headers = host.bearer(user)
            notebook = (await one.post("/v1/notebooks", json={"name": "N"}, headers=headers)).json()
            opened = await one.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=headers)
            while (await one.get(f"/v1/sessions/{opened.json()['id']}", headers=headers)).json()["state"] != "ready":
                await asyncio.sleep(0.05)
        notebook = (await one.post("/v1/notebooks", json={"name": "N"})).json()
        session = (await one.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
        await asyncio.sleep(0.5)

        await two.delete(f"/v1/sessions/{session['id']}")

        kinds = [kind async for kind, _ in events(two, session["id"])]
        assert kinds == ["progress", "ending", "ended"]


async def test_a_cookie_that_a_server_sets_reaches_nobody_else(client, hub, ready_session):
    hub.server_headers = {"Set-Cookie": "from=ada"}
    await ready_session()

    session = await ready_session()
    await client.post(f"/v1/sessions/{session['id']}/save")

    assert hub.cookies == []


async def test_a_document_that_the_server_has_under_another_name_is_opened_there(
    client, hub, new_notebook, ready_session
):
    notebook = await new_notebook("Old")
    session, _other = await ready_session(notebook), await ready_session()
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")
    await client.patch(f"/v1/notebooks/{notebook['id']}", json={"name": "New"})

    session = await ready_session(notebook)

    assert (await client.post(f"/v1/sessions/{session['id']}/save")).status_code == 200


async def test_a_save_that_is_a_conflict_says_so(client, hub, new_notebook, ready_session):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    await client.put(f"/v1/notebooks/{notebook['id']}/content", json=document("host's"), headers={"If-Match": '"1"'})
    hub.server().page_edits[path] = json.dumps(document("page's"))

    answer = await client.post(f"/v1/sessions/{session['id']}/save")

    assert problem(answer) == "version-conflict"
    assert (answer.json()["current_version"], answer.json()["kept_version"]) == (2, 3)
    assert "page's" in (await client.get(f"/v1/notebooks/{notebook['id']}/versions/3/content")).text


async def test_an_end_whose_answer_got_lost_is_not_waited_for_again(client, hub, new_notebook, ready_session):
    notebook = await new_notebook()
    session, _other = await ready_session(notebook), await ready_session()
    hub.server().documents.clear()  # the bridge has done it, and the service was not told

    await client.delete(f"/v1/sessions/{session['id']}")

    async with asyncio.timeout(30):
        await until(client, session["id"], "ended")


async def test_a_restore_in_a_running_session_is_told(client, hub, new_notebook, ready_session):
    notebook = await new_notebook(content=document("first"))
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    await hub.save_in_jupyter(path, json.dumps(document("second")))

    await client.post(f"/v1/notebooks/{notebook['id']}/versions/1/restore", headers={"Idempotency-Key": "r"})
    await client.post(f"/v1/notebooks/{notebook['id']}/versions/1/restore", headers={"Idempotency-Key": "r"})

    await client.delete(f"/v1/sessions/{session['id']}")
    saved = [data async for kind, data in events(client, session["id"]) if kind == "saved"]
    assert [(data["version"], data["origin"]) for data in saved] == [(2, "autosave"), (3, "restore")]


async def test_a_session_that_one_replica_began_is_finished_by_another(settings, hub, host):
    hub.spawns_hold = True
    async with running_service(settings, hub, **host.bearer()) as first:
        notebook = (await first.post("/v1/notebooks", json={"name": "N"})).json()
        session = (await first.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
        await hub.until(lambda: hub.servers)

    hub.finish_spawning()
    async with running_service(settings, hub, **host.bearer()) as second:
        assert (await until(second, session["id"], "ready"))["state"] == "ready"


async def test_a_notebook_that_one_replica_was_loading_is_loaded_once_more_by_another(settings, hub, host):
    hub.loads_hold = asyncio.Event()
    async with running_service(settings, hub, **host.bearer()) as first:
        session = await _opened_until_it_loads(first, hub)
    documents = dict(hub.server().documents)

    hub.loads_hold.set()
    async with running_service(settings, hub, **host.bearer()) as second:
        assert (await until(second, session["id"], "ready"))["state"] == "ready"
        assert hub.server().documents == documents
        assert len(hub.started) == 1


async def test_a_load_is_noted_when_it_is_done(client, hub, monkeypatch):
    hub.loads_hold = asyncio.Event()
    monkeypatch.setattr(steps, "_LONG_LOAD_SECONDS", 300)
    session = await _opened_until_it_loads(client, hub)
    assert (await client.get(f"/v1/sessions/{session['id']}")).json()["state"] == "starting"

    hub.loads_hold.set()

    assert (await _states_until_ready(client, session))[-2:] == ["loading", "ready"]


async def test_who_waits_for_a_long_load_is_told_before(client, hub, monkeypatch):
    hub.loads_hold = asyncio.Event()
    monkeypatch.setattr(steps, "_LONG_LOAD_SECONDS", 0.1)
    session = await _opened_until_it_loads(client, hub)
    async for _, data in events(client, session["id"]):
        if data.get("state") == "loading":
            break

    hub.loads_hold.set()

    assert (await until(client, session["id"], "ready"))["embeddable"] is True


async def test_a_session_that_is_closed_while_its_notebook_is_loaded_never_is_ready(client, hub):
    hub.loads_hold = asyncio.Event()
    session = await _opened_until_it_loads(client, hub)

    await client.delete(f"/v1/sessions/{session['id']}")
    hub.loads_hold.set()

    kinds = [kind async for kind, _ in events(client, session["id"], after=0)]
    assert (kinds[-1], "ready" in kinds) == ("ended", False)
    await hub.until(lambda: not hub.servers)


async def _opened_until_it_loads(client, hub):
    """Open a new notebook until its server has it, and its answer is still to come."""
    session = await _opening(client)
    await hub.until(lambda: hub.servers and hub.server().documents)
    return session


async def test_two_replicas_start_one_server_for_one_session(settings, hub, host):
    async with (
        running_service(settings, hub, **host.bearer()) as one,
        running_service(settings, hub, **host.bearer()) as two,
    ):
        notebook = (await one.post("/v1/notebooks", json={"name": "N"})).json()
        session = (await two.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()

        assert (await until(one, session["id"], "ready"))["state"] == "ready"
        assert hub.requests.count("POST /hub/api/users/seat-001/server") == 1


@pytest.mark.parametrize("notebook_id", ["nothing", "", "../..", "x" * 64])
async def test_opening_what_is_not_there_leaves_no_session(client, notebook_id):
    answer = await client.post("/v1/sessions", json={"notebook_id": notebook_id})

    assert problem(answer) == "notebook-not-found"
    assert (await client.get("/v1/sessions")).json()["items"] == []


async def _looked_up(hub):
    """Wait until the service has looked the server up and done what follows: then it looks once more."""
    looks = hub.requests.count("GET /hub/api/users/seat-001") + 2
    async with asyncio.timeout(30):
        while hub.requests.count("GET /hub/api/users/seat-001") < looks:
            await asyncio.sleep(0.02)
