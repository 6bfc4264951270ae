"""`inset sweep`: what belongs to nobody goes, and what somebody uses stays, whatever happens meanwhile."""

import asyncio

import pytest

from tests.fakes.fake_hub import FakeServer
from tests.service.conftest import execute, problem, stopped, until

pytestmark = pytest.mark.each_database


@pytest.fixture
def sweep(settings, command, monkeypatch):
    """Run `inset sweep` against the test's hub."""
    monkeypatch.setenv("INSET_HUB__TOKEN", settings.hub.token.get_secret_value())
    monkeypatch.setenv("INSET_HUB__API_URL", settings.hub.api_url)
    monkeypatch.setenv("INSET_HUB__SEATS", str(settings.hub.seats))

    async def run(*arguments):
        code, told, errors = await command("sweep", *arguments)
        assert not errors, errors
        return code, told

    return run


def _strand(hub, seat, server_id="nobody-knows-it"):
    """Have the hub run a server in a seat that the service does not know of."""
    hub.servers[seat] = FakeServer(seat, {"server_id": server_id} if server_id else {})
    hub.servers[seat].ready.set()


async def test_where_all_is_in_order_nothing_is_touched(client, hub, sweep, ready_session):
    session = await ready_session()
    tokens = dict(hub.tokens)

    assert await sweep() == (0, "Nothing is left that belongs to nobody.\n")

    assert hub.tokens == tokens
    assert (await client.get(f"/v1/sessions/{session['id']}")).json()["state"] == "ready"


@pytest.mark.parametrize("server_id", ["nobody-knows-it", None])
async def test_servers_and_tokens_of_nobody_go_and_a_session_beside_them_stays(
    client, hub, sweep, ready_session, server_id
):
    session = await ready_session()
    _strand(hub, "seat-002", server_id)
    hub.tokens["left over"], hub.notes["left over"] = "seat-003", "an old frame"

    code, told = await sweep("--dry-run")
    assert (code, set(hub.servers)) == (1, {"seat-001", "seat-002"})
    assert told.splitlines() == [
        "the hub runs a server in seat-002, which is nobody's",
        "tokens still open seat-003, which is nobody's",
        "2 are left",
    ]

    code, told = await sweep()
    assert (code, set(hub.servers)) == (0, {"seat-001"})
    assert "left over" not in hub.tokens
    assert told.count("swept") == 2
    assert (await client.post(f"/v1/sessions/{session['id']}/save")).status_code == 200
    assert (await sweep())[0] == 0


async def test_a_server_that_ended_for_the_service_and_not_for_the_hub_sends_what_it_owes(
    client, hub, settings, sweep, ready_session, new_notebook
):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    server = hub.server()
    watched = dict(server.documents)
    path = watched[notebook["id"]]["path"]
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")
    async with asyncio.timeout(30):
        while "seat-001" in hub.servers:
            await asyncio.sleep(0.02)
    await stopped(settings)
    server.documents, server.owed = watched, {path: '{"owed": true}'}
    hub.servers["seat-001"] = server

    assert (await sweep())[0] == 0

    assert "seat-001" not in hub.servers
    assert (await client.get(f"/v1/notebooks/{notebook['id']}/content")).text == '{"owed": true}'


async def test_containers_that_the_hub_has_forgotten_go_once_they_owe_nothing_and_live_ones_stay(
    client, host, hub, settings, sweep, ready_session
):
    mine = await ready_session()
    headers = host.bearer("grace")
    notebook = (await client.post("/v1/notebooks", json={"name": "N"}, headers=headers)).json()
    session = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=headers)).json()
    await _settled(client, session["id"], headers, "ready")
    # What a hub that has lost its database leaves, and a service that was told the server had stopped.
    server = hub.server("seat-002")
    path = server.documents[notebook["id"]]["path"]
    server.owed = {path: '{"owed": true}'}
    # The hub last: a server that the service still has would be found dead, and recovered by the service itself.
    await execute(settings, "UPDATE sessions SET state = 'ended' WHERE id = :id", id=session["id"])
    await execute(settings, "UPDATE servers SET state = 'stopped' WHERE seat = 'seat-002'")
    hub.forget_server("seat-002")
    hub.forgotten["seat-003"] = FakeServer("seat-003", {"server_id": "nobody-knows-it"})

    code, told = await sweep("--dry-run")
    assert (code, set(hub.forgotten)) == (1, {"seat-002", "seat-003"})
    assert told.splitlines()[0] == "a container is in seat-002, which the hub does not know any more"

    assert (await sweep())[0] == 0

    assert not hub.forgotten
    assert set(hub.servers) == {"seat-001"}
    assert (await client.get(f"/v1/notebooks/{notebook['id']}/content", headers=headers)).text == '{"owed": true}'
    assert (await client.post(f"/v1/sessions/{mine['id']}/save")).status_code == 200


async def test_a_session_whose_server_the_hub_has_forgotten_brings_home_what_it_owed(
    client, hub, ready_session, new_notebook
):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    server = hub.server()
    server.owed = {server.documents[notebook["id"]]["path"]: '{"owed": true}'}

    hub.forget_server()

    assert (await until(client, session["id"], "failed"))["failure"]["code"] == "server-died"
    await hub.until(lambda: not (hub.servers or hub.forgotten))
    assert (await client.get(f"/v1/notebooks/{notebook['id']}/content")).text == '{"owed": true}'


async def test_a_session_that_lost_its_server_says_so_and_opens_again(client, settings, sweep, ready_session):
    session = await ready_session()
    await execute(settings, "UPDATE servers SET state = 'stopped'")

    code, told = await sweep()

    assert code == 0
    assert f"session {session['id']} has lost its server: swept" in told
    failed = await until(client, session["id"], "failed")
    assert failed["failure"]["code"] == "server-died"
    again = (await client.post("/v1/sessions", json={"notebook_id": session["notebook_id"]})).json()
    await until(client, again["id"], "ready")


async def test_a_server_that_no_session_uses_is_let_go(client, hub, settings, sweep, ready_session):
    session = await ready_session()
    await execute(settings, "UPDATE sessions SET state = 'ended' WHERE id = :id", id=session["id"])

    assert (await sweep())[0] == 0

    await hub.until(lambda: not hub.servers)


async def test_sessions_that_open_and_close_beside_it_never_notice(client, hub, host, sweep):
    sweeping, stop = 0, asyncio.Event()

    async def live(user):
        headers = host.bearer(user)
        notebook = (await client.post("/v1/notebooks", json={"name": "N"}, headers=headers)).json()
        while not stop.is_set():
            wanted = {"notebook_id": notebook["id"]}
            session = (await client.post("/v1/sessions", json=wanted, headers=headers)).json()
            state = await _settled(client, session["id"], headers, "ready", "failed")
            assert state["state"] == "ready", state
            await client.delete(f"/v1/sessions/{session['id']}", headers=headers)
            await _settled(client, session["id"], headers, "ended")

    living = [asyncio.create_task(live(user)) for user in ("ada", "grace")]
    while sweeping < 8:
        code, told = await sweep()
        assert code in (0, 1), told
        assert "lost its server" not in told
        sweeping += 1
    stop.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*living)


async def test_while_the_hub_is_away_it_says_so_in_one_line(anonymous, hub, command, settings, monkeypatch):
    monkeypatch.setenv("INSET_HUB__API_URL", settings.hub.api_url)
    hub.trouble = "error"

    code, _, errors = await command("sweep")

    assert code == 2
    assert errors.count("\n") == 1
    assert problem(await anonymous.get("/readyz")) == "not-ready"


async def _settled(client, id, headers, *states):
    async with asyncio.timeout(60):
        while True:
            session = (await client.get(f"/v1/sessions/{id}", headers=headers)).json()
            if session["state"] in states:
                return session
            await asyncio.sleep(0.05)
