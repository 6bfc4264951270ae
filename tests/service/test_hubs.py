"""Several hubs behind one service: sessions are placed where there is room, and a hub can be drained."""

import asyncio
from collections import Counter

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from inset.settings import HubSettings, Settings
from tests.fakes.fake_hub import FakeHub, FakeServer
from tests.service.conftest import document, events, execute, problem, running_service, until
from tests.support.serving import served

PATIENCE = 90
NORTHS_TOKEN = "the-northern-hubs-service-token"
EDGE_TOKEN = "the edge's secret"


@pytest.fixture
def north() -> FakeHub:
    """A second hub, with an origin and a token of its own, and seats of the same names."""
    hub = FakeHub(token=NORTHS_TOKEN)
    hub.public_url = "http://north.localhost:8000"
    return hub


@pytest.fixture
def norths_hosts() -> list[str] | None:
    """The host applications that may be in the north; all unless a test says so."""
    return None


@pytest.fixture
async def settings(settings, north, norths_hosts):
    async with served(north.app) as url:
        second = HubSettings(
            token=NORTHS_TOKEN,
            api_url=f"{url}/hub/api",
            proxy_url=url,
            seats=3,
            timeout=settings.hub.timeout,
            hosts=norths_hosts,
        )
        yield settings.model_copy(update={"hubs": {"north": second}, "edge_token": SecretStr(EDGE_TOKEN)})


@pytest.fixture
async def anonymous(anonymous, hub, north):
    north.service = hub.service
    return anonymous


@pytest.fixture
def inset(command, settings, monkeypatch):
    """Run `inset …` with both hubs in its environment."""
    for prefix, hub in (("INSET_HUB__", settings.hub), ("INSET_HUBS__NORTH__", settings.hubs["north"])):
        monkeypatch.setenv(f"{prefix}TOKEN", hub.token.get_secret_value())
        monkeypatch.setenv(f"{prefix}API_URL", hub.api_url)
        monkeypatch.setenv(f"{prefix}PROXY_URL", hub.proxy_url)
        monkeypatch.setenv(f"{prefix}SEATS", str(hub.seats))

    async def run(*arguments):
        code, told, errors = await command(*arguments)
        assert not errors, errors
        assert code in (0, 1)
        return told

    return run


@pytest.fixture
def opened(client, host):
    """Open a notebook of a user's; gives the session's id."""

    async def open(user, *, of=host, content=None):
        bearer = of.bearer(user)
        new = {"name": "N", "content": content or document("1 + 1")}
        notebook = (await client.post("/v1/notebooks", json=new, headers=bearer)).json()
        answer = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=bearer)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    return open


@pytest.fixture
def reached(client, host):
    """Wait until a session is in a state; gives it."""

    async def wait(user, id, state="ready", *, of=host):
        async with asyncio.timeout(PATIENCE):
            while True:
                session = (await client.get(f"/v1/sessions/{id}", headers=of.bearer(user))).json()
                if session["state"] == state:
                    return session
                assert session["state"] != "failed", session
                await asyncio.sleep(0.05)

    return wait


async def _address(client, id, bearer):
    minted = (await client.post(f"/v1/sessions/{id}/iframe-url", headers=bearer)).raise_for_status().json()
    return httpx.URL(minted["url"])


def _used(*hubs):
    return [len(hub.servers) for hub in hubs]


@pytest.mark.each_database
async def test_sessions_are_spread_by_room_and_each_is_served_by_its_own_hub(client, host, hub, north, opened, reached):
    users = [f"user-{number}" for number in range(6)]
    sessions = {}
    for number, user in enumerate(users, start=1):
        sessions[user] = await opened(user)
        await reached(user, sessions[user])
        assert _used(hub, north) == [(number + 1) // 2, number // 2]
    waits = await opened("late")
    async with asyncio.timeout(PATIENCE):
        async for _, data in events(client, waits, headers=host.bearer("late")):
            if data.get("position") == 1:
                break

    names = Counter([(await _address(client, sessions[user], host.bearer(user))).host for user in users])
    assert names == {f"seat-00{n}.{at}.localhost": 1 for n in (1, 2, 3) for at in ("nb", "north")}
    [path] = north.server("seat-002").files
    north.server("seat-002").page_edits[path] = '{"cells": []}'
    saved = await client.post(f"/v1/sessions/{sessions[users[3]]}/save", headers=host.bearer(users[3]))
    assert (saved.status_code, saved.json()["version"]) == (200, 2)
    await client.delete(f"/v1/sessions/{sessions[users[3]]}", headers=host.bearer(users[3]))
    await reached("late", waits)
    assert (await _address(client, waits, host.bearer("late"))).host == "seat-002.north.localhost"
    # Nobody was shown what opens the other.
    assert not hub.shown & north.shown - {""}


async def test_a_users_further_notebooks_open_where_his_server_runs(client, host, hub, north, opened, reached):
    await reached("ada", await opened("ada"))
    await reached("grace", await opened("grace"))
    for _ in range(2):
        await reached("grace", await opened("grace"))

    assert _used(hub, north) == [1, 1]
    assert len(north.server().documents) == 3


@pytest.mark.each_database
async def test_where_a_hub_refuses_a_start_the_session_goes_to_another_before_it_waits(
    client, host, hub, north, opened, reached
):
    hub.active_server_limit = north.active_server_limit = 1
    await reached("ada", await opened("ada"))
    north.spawns_hold = False
    await reached("grace", await opened("grace"))
    assert _used(hub, north) == [1, 1]

    waits = await opened("mary")
    async with asyncio.timeout(PATIENCE):
        async for kind, data in events(client, waits, headers=host.bearer("mary")):
            assert kind == "progress", data
            if data.get("position") == 1:
                break
    north.active_server_limit = 2
    await reached("mary", waits)
    assert _used(hub, north) == [1, 2]


@pytest.mark.parametrize("trouble", ["down", "error", "busy"])
async def test_a_hub_that_does_not_answer_costs_no_session_and_is_used_again_when_it_does(
    client, hub, north, opened, reached, trouble
):
    hub.trouble = trouble
    # Two of them share a server, and with it the way to the other hub.
    first = [(user, await opened(user)) for user in ("ada", "ada", "grace", "mary")]
    for user, id in first:
        await reached(user, id)
    assert _used(hub, north) == [0, 3]
    hub.trouble = None

    await reached("joan", await opened("joan"))
    assert _used(hub, north) == [1, 3]


async def test_who_waited_at_a_hub_that_goes_away_waits_for_one_that_answers(client, host, hub, north, opened, reached):
    for number in range(5):
        await reached(f"user-{number}", await opened(f"user-{number}"))
    assert _used(hub, north) == [3, 2]
    north.trouble = "down"
    waits = await opened("late")
    await asyncio.sleep(1)  # it is not given up meanwhile
    assert (await client.get(f"/v1/sessions/{waits}", headers=host.bearer("late"))).json()["state"] == "queued"

    hub.kill_server("seat-001")

    await reached("late", waits)
    assert set(hub.servers) == {"seat-001", "seat-002", "seat-003"}


async def test_a_replica_is_ready_while_one_hub_serves_and_says_which_does_not(client, hub, north, inset):
    north.trouble = "down"
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["hubs"] == [
        {"name": "default", "reason": None, "drained": False},
        {"name": "north", "reason": "unreachable", "drained": False},
    ]

    # What is drained may well be away.
    await inset("hubs", "drain", "north")
    told = (await client.get("/readyz")).json()
    assert (told["status"], told["hubs"][1]) == ("ok", {"name": "north", "reason": "unreachable", "drained": True})

    hub.trouble = "down"
    assert problem(await client.get("/readyz")) == "not-ready"


@pytest.mark.each_database
async def test_a_drained_hub_takes_nothing_new_and_what_runs_there_goes_on(
    client, host, hub, north, opened, reached, inset
):
    ada = await opened("ada")
    await reached("ada", ada)

    assert await inset("hubs", "drain", "default") == "default takes no new servers\n"

    for user in ("grace", "mary", "joan"):
        await reached(user, await opened(user))
    assert _used(hub, north) == [1, 3]
    # Her own server is there, and goes on.
    await reached("ada", await opened("ada"))
    assert len(hub.server().documents) == 2
    assert (await client.post(f"/v1/sessions/{ada}/save", headers=host.bearer("ada"))).status_code == 200
    assert (await inset("hubs")).splitlines() == [
        "default\tdrained\t1 seats taken, 2 free\treachable\tJupyterHub 6.1.1",
        "north\topen\t3 seats taken, 0 free\treachable\tJupyterHub 6.1.1",
    ]
    waits = await opened("late")
    async with asyncio.timeout(PATIENCE):
        async for _, data in events(client, waits, headers=host.bearer("late")):
            if data.get("position") == 1:
                break
    assert await inset("hubs", "resume", "default") == "default takes new servers again\n"
    await reached("late", waits)
    assert _used(hub, north) == [2, 3]


@pytest.mark.each_database
async def test_a_hub_is_emptied_by_saving_and_ending_what_is_there_and_reopening_lands_on_another(
    client, host, hub, north, inset, ready_session, new_notebook
):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    [path] = hub.server().files
    hub.server().page_edits[path] = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5, "mine": 1}'

    told = await inset("hubs", "drain", "default", "--now")
    reopened = None
    async with asyncio.timeout(PATIENCE):
        async for kind, data in events(client, session["id"]):
            if kind == "ending":
                assert (data["reason"], data["in"]) == ("maintenance", 4.0)
                # At once, while the old server is not gone yet.
                reopened = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()

    assert "saved and ended" in told
    assert reopened
    again = await until(client, reopened["id"], "ready")
    assert again["version"] == 2
    assert (await client.get(f"/v1/sessions/{session['id']}")).json()["ending_reason"] == "maintenance"
    assert '"mine": 1' in north.server().files[path]
    await hub.until(lambda: not hub.servers, within=PATIENCE)


@pytest.mark.parametrize("norths_hosts", [["other"]])
async def test_a_hub_can_be_for_some_host_applications_alone(client, other_host, hub, north, opened, reached):
    for number in range(3):
        await reached(f"user-{number}", await opened(f"user-{number}"))
    waits = await opened("late")
    await reached("zoe", await opened("zoe", of=other_host), of=other_host)

    assert _used(hub, north) == [3, 1]
    assert (await reached("late", waits, "queued"))["id"] == waits


async def test_the_edge_tells_the_hubs_seats_apart_by_their_addresses(client, host, opened, reached):
    for user in ("ada", "grace"):
        id = await opened(user)
        await reached(user, id)
        url = await _address(client, id, host.bearer(user))
        await _checked(client, url.netloc.decode(), 204)
    await _checked(client, "seat-001.south.localhost:8000", 403)


async def _checked(client, at, status):
    headers = {
        "Inset-Edge-Token": EDGE_TOKEN,
        "X-Original-Method": "GET",
        "X-Original-Host": at,
        "X-Original-URI": "/user/seat-001/api/me",
    }
    assert (await client.get("/edge/check", headers=headers)).status_code == status


async def test_a_bridge_is_known_by_its_own_hub_alone(client, hub, north, opened, reached, anonymous):
    for user in ("ada", "grace"):
        await reached(user, await opened(user))
    mine, theirs = hub.server(), north.server()

    # The same seat, another hub: whose token it is, only the one can say that has made it.
    stolen = {"server_id": theirs.options["server_id"]}
    refused = await client.post(
        "/bridge/v1/credentials", json=stolen, headers={"Authorization": f"token {mine.own_token}"}
    )
    assert (refused.status_code, problem(refused)) == (401, "unknown-server")
    assert await north.credential()


@pytest.mark.each_database
async def test_orphans_are_swept_at_each_hub_and_the_others_while_one_is_away(
    client, hub, north, opened, reached, inset, settings, command
):
    await reached("ada", await opened("ada"))
    for one in (hub, north):
        one.servers["seat-002"] = FakeServer("seat-002", {"server_id": f"nobody-knows-it-{one.token}"})
        one.servers["seat-002"].ready.set()

    hub.trouble = "error"
    code, told, errors = await command("sweep")
    assert (code, told) == (2, "the hub runs a server in seat-002 of north, which is nobody's: swept\n")
    assert "hub" in errors
    hub.trouble = None
    assert "seat-002 of default, which is nobody's: swept" in await inset("sweep")
    assert [set(one.servers) for one in (hub, north)] == [{"seat-001"}, set()]


async def test_the_doctor_examines_each_hub(client, host, north):
    north.version = "5.2.1"

    told = (await client.get("/v1/doctor", headers=host.backend_bearer("ada"))).json()["findings"]

    [old] = [finding for finding in told if finding["code"] == "hub-version"]
    assert (old["level"], old["message"]) == (
        "error",
        "Hub north: The hub is JupyterHub 5.2.1, which is too old.",
    )
    assert "hubs" in {finding["code"] for finding in told}
    assert {finding["message"][:12] for finding in told if finding["code"] == "token"} == {
        "Hub default:",
        "Hub north: T",
    }


async def test_two_hubs_at_one_address_are_told(client, host, hub, north):
    north.public_url = hub.public_url

    told = (await client.get("/v1/doctor", headers=host.backend_bearer("ada"))).json()["findings"]

    assert "hubs-share-origin" in {finding["code"] for finding in told if finding["level"] == "error"}


async def test_two_replicas_place_a_crowd_on_every_seat_once(settings, hub, north, host, reached, opened):
    async with running_service(settings, hub) as other:
        north.service = hub.service
        ids = {f"user-{number}": await opened(f"user-{number}") for number in range(9)}
        async with asyncio.timeout(2 * PATIENCE):
            while ids:
                for user, id in list(ids.items()):
                    session = (await other.get(f"/v1/sessions/{id}", headers=host.bearer(user))).json()
                    assert session["state"] != "failed", session
                    if session["state"] == "ready":
                        await other.delete(f"/v1/sessions/{id}", headers=host.bearer(user))
                        del ids[user]
                await asyncio.sleep(0.05)
    assert len(hub.started) + len(north.started) == 9
    assert hub.started
    assert north.started


async def test_a_server_of_a_hub_that_is_set_no_longer_is_left_alone_and_told(
    client, settings, hub, opened, reached, inset, host
):
    id = await opened("ada")
    await reached("ada", id)
    await execute(settings, "UPDATE servers SET hub = 'south'")

    assert problem(await client.post(f"/v1/sessions/{id}/save", headers=host.bearer("ada"))) == "hub-unavailable"
    assert "south\tnot in the settings\t1 seats taken" in await inset("hubs")
    await reached("grace", await opened("grace"))
    assert (await client.get("/readyz")).json()["status"] == "ok"


async def test_what_can_not_be_told_apart_is_no_setting(settings, command):
    hub = {"token": "secret", "api_url": settings.hub.api_url}
    given = {"public_url": "http://localhost:8091", "signing_key_file": settings.signing_key_file, "hub": hub}
    for wrong, reason in (
        ({"north": hub}, "same api_url"),
        ({"default": {**hub, "api_url": "http://north:8081/hub/api"}}, "is the name of the hub at INSET_HUB__"),
        ({"North Pole": {**hub, "api_url": "http://north:8081/hub/api"}}, "pattern"),
    ):
        with pytest.raises(ValidationError, match=reason):
            Settings(**given, hubs=wrong)
    code, _, errors = await command("hubs", "drain", "south")
    assert (code, errors.strip()) == (2, "inset: no hub is called 'south': there are default")
