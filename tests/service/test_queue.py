"""Where there is no room for a session now, it waits for its turn, and is told where it stands."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from inset.clock import now
from inset.db import open_database
from inset.hosts import apply_hosts
from inset.models import Notebook, Server, Session, SessionState
from tests.service.conftest import events, execute, problem, running_service
from tests.support.hosts import write_hosts_file

PATIENCE = 60


@pytest.fixture
def seats() -> int:
    return 1


@pytest.fixture
async def settings(settings, seats):
    return settings.model_copy(update={"hub": settings.hub.model_copy(update={"seats": seats})})


@pytest.fixture
def register(settings, tmp_path):
    """Give a host these words in its registration."""

    async def apply(host, **words):
        registered = dataclasses.replace(host, registration={**host.registration, **words})
        async with open_database(settings.database_url) as database:
            await apply_hosts(database, write_hosts_file(tmp_path / "registered.toml", registered))

    return apply


async def _open(client, bearer, **wish):
    notebook = (await client.post("/v1/notebooks", json={"name": "N"}, headers=bearer)).json()
    return await client.post("/v1/sessions", json={"notebook_id": notebook["id"], **wish}, headers=bearer)


async def _opened(client, bearer, **wish):
    answer = await _open(client, bearer, **wish)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


async def _seen(client, bearer, id, **expected):
    """Wait until a session is seen to be so; gives it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            session = (await client.get(f"/v1/sessions/{id}", headers=bearer)).json()
            if all(session[name] == value for name, value in expected.items()):
                return session
            await asyncio.sleep(0.1)


async def _came_at_once(settings, id):
    """Have a session not count among those who waited, however long its start took here."""
    await execute(settings, update(Session).where(col(Session.id) == id).values(started_at=col(Session.created_at)))


@pytest.mark.each_database
async def test_who_waits_is_told_where_it_stands_and_who_leaves_makes_the_others_move_up(client, settings, host):
    ada, grace, mary = (host.bearer(user) for user in ("ada", "grace", "mary"))
    first = await _opened(client, ada)
    await _seen(client, ada, first, state="ready", position=None)
    await _came_at_once(settings, first)
    second, third = await _opened(client, grace), await _opened(client, mary)

    waiting = await _seen(client, grace, second, position=1)
    await _seen(client, mary, third, position=2)
    assert (waiting["state"], waiting["estimated_wait"], waiting["progress"]["percent"]) == ("queued", None, 0)
    listed = (await client.get("/v1/sessions", headers=mary)).json()["items"]
    assert [session["position"] for session in listed] == [2]

    heard = []
    async with asyncio.timeout(PATIENCE):
        async for kind, data in events(client, third, headers=mary):
            heard.append((kind, data.get("state"), data.get("position"), data["id"]))
            if data.get("position") == 2:
                closed = (await client.delete(f"/v1/sessions/{second}", headers=grace)).json()
            elif data.get("position") == 1:
                await client.delete(f"/v1/sessions/{first}", headers=ada)
            if kind == "ready":
                break

    # Who only waited is gone with the answer.
    assert (closed["state"], closed["ending_reason"], closed["position"]) == ("ended", "closed", None)
    told = [kind async for kind, _ in events(client, second, headers=grace)]
    assert told == ["progress", "ending", "ended"]
    queued = [position for _, state, position, _ in heard if state == "queued"]
    assert queued == [None, 2, 1]
    assert [state for kind, state, *_ in heard if kind == "progress"][-3:] == ["starting", "loading", "ready"]
    # What is soon no longer so is nothing to resume from.
    assert [id for *_, id in heard][:3] == [heard[0][3]] * 3


async def test_a_crowd_of_one_host_application_does_not_keep_another_one_waiting(client, host, other_host):
    holder = await _opened(client, host.bearer("holder"))
    await _seen(client, host.bearer("holder"), holder, state="ready")
    crowd = [
        (host.bearer(f"user-{number}"), await _opened(client, host.bearer(f"user-{number}"))) for number in range(9)
    ]
    one = await _opened(client, other_host.bearer())
    await _seen(client, other_host.bearer(), one, position=1)
    await _seen(client, *crowd[8], position=10)

    await client.delete(f"/v1/sessions/{holder}", headers=host.bearer("holder"))
    await _seen(client, other_host.bearer(), one, state="ready")
    await client.delete(f"/v1/sessions/{one}", headers=other_host.bearer())

    await _seen(client, *crowd[0], state="ready")
    assert {(await client.get(f"/v1/sessions/{id}", headers=who)).json()["state"] for who, id in crowd[1:]} == {
        "queued"
    }


@pytest.mark.parametrize("seats", [3])
@pytest.mark.each_database
async def test_two_replicas_settle_each_start_once(settings, hub, host, other_host):
    async with running_service(settings, hub) as one, running_service(settings, hub) as two:
        bearers = [host.bearer(f"user-{number}") for number in range(8)] + [
            other_host.bearer(f"user-{number}") for number in range(2)
        ]

        async def stay(place, bearer):
            id = await _opened((one, two)[place % 2], bearer)
            await _seen((two, one)[place % 2], bearer, id, state="ready")
            await one.delete(f"/v1/sessions/{id}", headers=bearer)
            await _seen(two, bearer, id, state="ended")

        async with asyncio.timeout(2 * PATIENCE):
            await asyncio.gather(*[stay(place, bearer) for place, bearer in enumerate(bearers)])

    starts = [request for request in hub.requests if request.startswith("POST") and request.endswith("/server")]
    assert len(starts) == len(bearers)
    async with open_database(settings.database_url) as database, database.transaction(read_only=True) as db:
        given = (await db.exec(select(Server.owner, Server.host_id))).all()
    assert len(given) == len(set(given)) == len(bearers)


@pytest.mark.parametrize("limit", ["concurrent_spawn_limit", "active_server_limit"])
@pytest.mark.parametrize("seats", [12])
async def test_at_the_hubs_limits_a_session_waits_for_it_and_few_hold_a_seat_meanwhile(
    client, hub, host, other_host, limit
):
    hub.seats = [f"seat-{number:03}" for number in range(1, 13)]
    setattr(hub, limit, 1)
    hub.spawns_hold = limit == "concurrent_spawn_limit"
    first = await _opened(client, host.bearer("first"))
    await _seen(client, host.bearer("first"), first, state="starting" if hub.spawns_hold else "ready")
    crowd = [
        (host.bearer(f"user-{number}"), await _opened(client, host.bearer(f"user-{number}"))) for number in range(8)
    ]
    await _seen(client, *crowd[7], position=8)
    one = await _opened(client, other_host.bearer())
    # Behind those that have a seat, and ask the hub for its start.
    waiting = await _seen(client, other_host.bearer(), one, position=6)
    assert waiting["state"] == "queued"
    asked = set()
    async with asyncio.timeout(PATIENCE):
        while len(asked) < 6:
            await asyncio.sleep(0.1)
            asked = {request for request in hub.requests if request.startswith("POST") and request.endswith("/server")}
    assert len(asked) == 6

    setattr(hub, limit, 0)
    hub.finish_spawning()

    for who, id in [*crowd, (other_host.bearer(), one)]:
        await _seen(client, who, id, state="ready")


@pytest.mark.parametrize("seats", [3])
async def test_a_profile_has_so_many_places_and_who_waits_for_one_holds_nobody_up(
    settings, hub, host, register, tmp_path
):
    file = tmp_path / "profiles.toml"
    file.write_text("[profiles.default]\n[profiles.gpu]\nplaces = 1\n")
    await register(host, profiles=["default", "gpu"])
    async with running_service(settings.model_copy(update={"profiles_file": file}), hub) as client:
        ada, grace, mary = (host.bearer(user) for user in ("ada", "grace", "mary"))
        first = await _opened(client, ada, profile="gpu")
        await _seen(client, ada, first, state="ready")
        second = await _opened(client, grace, profile="gpu")
        await _seen(client, grace, second, state="queued", position=1)

        third = await _opened(client, mary)
        await _seen(client, mary, third, state="ready")
        # Whoever has a server of this kind opens his next notebook in it.
        await _seen(client, ada, await _opened(client, ada, profile="gpu"), state="ready")
        assert (await client.get(f"/v1/sessions/{second}", headers=grace)).json()["state"] == "queued"

        for session in (await client.get("/v1/sessions", headers=ada)).json()["items"]:
            await client.delete(f"/v1/sessions/{session['id']}", headers=ada)
        await _seen(client, grace, second, state="ready")


async def test_a_host_applications_queue_has_an_end(client, host, other_host, register):
    await register(host, **{"limits.queue": 2})
    # For whom there is a seat, or his own server, does not wait: a queue of two is not full with him.
    first = await _opened(client, host.bearer("first"))
    await _seen(client, host.bearer("first"), first, state="ready")
    for user in ("ada", "grace"):
        await _opened(client, host.bearer(user))

    refused = await _open(client, host.bearer("mary"))

    assert (refused.status_code, problem(refused), refused.json()["limit"]) == (503, "queue-full", 2)
    assert refused.headers["Retry-After"] == "30"
    assert (await _open(client, host.bearer("first"))).status_code == 202
    elsewhere = await _opened(client, other_host.bearer())
    # Its turn would come first: its host application has never been served.
    await client.delete(f"/v1/sessions/{elsewhere}", headers=other_host.bearer())
    for session in (await client.get("/v1/sessions", headers=host.bearer("first"))).json()["items"]:
        await client.delete(f"/v1/sessions/{session['id']}", headers=host.bearer("first"))
    async with asyncio.timeout(PATIENCE):
        while (await _open(client, host.bearer("mary"))).status_code != 202:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("seats", [2])
async def test_who_has_waited_for_too_long_fails_with_the_reason(settings, hub, host, register, tmp_path):
    file = tmp_path / "profiles.toml"
    file.write_text("[profiles.default]\n[profiles.gpu]\nplaces = 1\n")
    await register(host, profiles=["default", "gpu"])
    patient = settings.model_copy(update={"profiles_file": file})
    async with running_service(patient, hub) as client:
        first = await _opened(client, host.bearer("first"), profile="gpu")
        await _seen(client, host.bearer("first"), first, state="ready")
    hurried = patient.model_copy(update={"queue_timeout": timedelta(seconds=3)})
    async with running_service(hurried, hub) as client:
        hub.active_server_limit = 1
        by_profile = {
            profile: (host.bearer(profile), await _opened(client, host.bearer(profile), profile=profile))
            for profile in ("gpu", "default")
        }

        for code, profile in {"profile-full": "gpu", "hub-busy": "default"}.items():
            who, id = by_profile[profile]
            failed = await _seen(client, who, id, state="failed")
            assert (failed["failure"]["code"], failed["position"]) == (code, None)
            assert [kind async for kind, _ in events(client, id, headers=who)][-1] == "failed"


async def test_who_has_found_no_seat_in_time_is_told_so(client, settings, host):
    first = await _opened(client, host.bearer("first"))
    await _seen(client, host.bearer("first"), first, state="ready")

    second = await _opened(client, host.bearer("second"))
    came = now() - settings.queue_timeout - timedelta(seconds=1)
    await execute(settings, update(Session).where(col(Session.id) == second).values(created_at=came))

    failed = await _seen(client, host.bearer("second"), second, state="failed")
    assert failed["failure"]["code"] == "no-seat"
    assert "free in time" in failed["failure"]["detail"]


async def test_the_estimate_is_measured_by_those_who_waited_before(settings, hub, host):
    time = now()
    async with open_database(settings.database_url) as database, database.transaction() as db:
        for minute in range(1, 4):
            db.add(Notebook(id=f"n{minute}", host_id="demo", owner="past", name="N"))
            await db.flush()
            left = time - timedelta(minutes=30 - minute)
            db.add(
                Session(
                    host_id="demo", owner="past", notebook_id=f"n{minute}", state=SessionState.ENDED,
                    created_at=time - timedelta(minutes=30), started_at=left,
                )
            )  # fmt: skip
    async with running_service(settings, hub) as client:
        for user in ("ada", "grace", "mary"):
            id = await _opened(client, host.bearer(user))
            await _seen(client, host.bearer(user), id, **({"state": "ready"} if user == "ada" else {"state": "queued"}))
            if user == "ada":
                await _came_at_once(settings, id)

        # One left each minute while there was a queue: the second in it waits for about two.
        assert 115 <= (await _estimated(client, host.bearer("mary"), id)) <= 150


async def _estimated(client, bearer, id):
    async with asyncio.timeout(PATIENCE):
        async for _, data in events(client, id, headers=bearer):
            if data.get("estimated_wait"):
                return data["estimated_wait"]


async def test_a_stream_that_is_opened_after_the_wait_hears_nothing_of_it_any_more(client, host):
    ada, grace = host.bearer("ada"), host.bearer("grace")
    first = await _opened(client, ada)
    await _seen(client, ada, first, state="ready")
    second = await _opened(client, grace)
    await _seen(client, grace, second, position=1)
    await client.delete(f"/v1/sessions/{first}", headers=ada)
    await _seen(client, grace, second, state="ready")
    await client.delete(f"/v1/sessions/{second}", headers=grace)

    heard = [(kind, data.get("position")) async for kind, data in events(client, second, headers=grace)]

    assert [position for kind, position in heard if kind == "progress"] == [None] * 4


async def test_a_replica_that_stops_leaves_the_queue_to_the_others(settings, hub, host):
    async with running_service(settings, hub) as one:
        async with running_service(settings, hub) as two:
            first = await _opened(two, host.bearer("first"))
            await _seen(two, host.bearer("first"), first, state="ready")
            second = await _opened(two, host.bearer("second"))
            await _seen(two, host.bearer("second"), second, position=1)
        await _seen(one, host.bearer("second"), second, position=1)
        hub.service = one
        await one.delete(f"/v1/sessions/{first}", headers=host.bearer("first"))
        await _seen(one, host.bearer("second"), second, state="ready")
