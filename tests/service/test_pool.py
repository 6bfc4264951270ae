"""The pool: servers that are started ahead, each for one user and once, while real starts go first."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from inset.clock import now
from inset.db import open_database
from inset.draining import drain
from inset.hosts import apply_hosts
from inset.metrics import COUNTED
from inset.models import Server, Session
from inset.settings import PoolSettings, Settings
from tests.service.conftest import execute, running_service, until
from tests.support.hosts import write_hosts_file

PATIENCE = 90


@pytest.fixture
def pool():
    """How many servers are started ahead; a test may say so otherwise."""
    return {"default": PoolSettings(servers=1)}


@pytest.fixture
async def settings(settings, pool):
    return settings.model_copy(update={"pool": pool})


@pytest.fixture
def states(settings):
    """Give the servers that are in seats, each with its state, by seat."""

    async def read():
        async with open_database(settings.database_url) as database, database.transaction() as db:
            rows = await db.exec(text("SELECT seat, state FROM servers WHERE state != 'stopped' ORDER BY seat"))
            return dict(rows.all())

    return read


@pytest.fixture
def seen(states):
    """Wait until the seats that are taken are so."""

    async def wait(*wanted, of=None):
        async with asyncio.timeout(PATIENCE):
            while sorted((found := await (of or states)()).values()) != sorted(wanted):
                await asyncio.sleep(0.05)
        return found

    return wait


async def _opened(client, bearer, **wish):
    """Open a notebook of a user's; gives the session's id."""
    notebook = (await client.post("/v1/notebooks", json={"name": "N"}, headers=bearer)).json()
    answer = await client.post("/v1/sessions", json={"notebook_id": notebook["id"], **wish}, headers=bearer)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


async def _ready(client, bearer, id, state="ready"):
    async with asyncio.timeout(PATIENCE):
        while True:
            session = (await client.get(f"/v1/sessions/{id}", headers=bearer)).json()
            if session["state"] == state:
                return session
            assert session["state"] != "failed", session
            await asyncio.sleep(0.05)


async def _asked_for(hub, seat):
    """Wait until the hub has been asked to start a seat's server."""
    async with asyncio.timeout(PATIENCE):
        while seat not in hub.servers:
            await asyncio.sleep(0.05)


def _server_of(hub, *, but=()):
    [found] = [server for seat, server in hub.servers.items() if server.documents and seat not in but]
    return found


@pytest.mark.each_database
async def test_who_comes_gets_a_server_that_was_started_ahead_and_another_one_takes_its_place(
    client, hub, host, new_notebook, seen
):
    [ahead] = await seen("warm")
    options = hub.server(ahead).options
    assert (options["ahead"], options["origins"], options["environment"]) == (True, [], {})
    hub.requests.clear()

    notebook = await new_notebook()
    session = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    session = await until(client, session["id"], "ready")

    server = _server_of(hub)
    assert server.seat == ahead
    assert server.documents[notebook["id"]]["origins"] == list(host.origins)
    assert "1 + 1" in server.files[server.documents[notebook["id"]]["path"]]
    assert session["embeddable"]
    assert f"POST /hub/api/users/{ahead}/server" not in hub.requests
    await seen("running", "warm")


@pytest.mark.each_database
async def test_two_that_come_to_two_replicas_at_once_never_get_the_same_one(settings, hub, host, seen):
    async with running_service(settings, hub) as one, running_service(settings, hub) as two:
        [ahead] = await seen("warm")
        users = [host.bearer("ada"), host.bearer("grace")]

        sessions = await asyncio.gather(*map(_opened, (one, two), users))
        for client, user, id in zip((two, one), users, sessions, strict=True):
            await _ready(client, user, id)

        seats = {server.seat for server in hub.servers.values() if server.documents}
        assert ahead in seats
        assert len(seats) == 2
        assert all(len(server.documents) <= 1 for server in hub.servers.values())


async def test_a_server_that_somebody_had_is_nobodys_again(client, hub, host, seen):
    [ahead] = await seen("warm")
    used = hub.server(ahead).options["server_id"]
    ada, grace = host.bearer("ada"), host.bearer("grace")
    first = await _opened(client, ada)
    await _ready(client, ada, first)
    await client.delete(f"/v1/sessions/{first}", headers=ada)
    await _ready(client, ada, first, "ended")

    async with asyncio.timeout(PATIENCE):
        while used not in hub.stopped:
            await asyncio.sleep(0.05)
    await seen("warm")
    await _ready(client, grace, await _opened(client, grace))
    assert hub.started.count(used) == 1
    assert _server_of(hub).options["server_id"] != used


@pytest.mark.parametrize("wish", [{"environment": {"PLATFORM_PROJECT": "x"}}, {"profile": "large"}])
async def test_who_asks_for_what_they_are_not_has_a_server_started_for_him(settings, hub, host, tmp_path, wish, seen):
    file = tmp_path / "profiles.toml"
    file.write_text('[profiles.default]\nallow_environment = ["PLATFORM_*"]\n[profiles.large]\n')
    await _register(settings, tmp_path, dataclasses.replace(host, registration={"profiles": ["default", "large"]}))
    async with running_service(settings.model_copy(update={"profiles_file": file}), hub) as client:
        [ahead] = await seen("warm")

        await _ready(client, host.bearer(), await _opened(client, host.bearer(), **wish))

        server = _server_of(hub)
        assert server.seat != ahead
        assert "ahead" not in server.options


@pytest.mark.parametrize("may", [["edit", "run"], []])
async def test_who_may_do_less_has_a_server_started_for_him(client, hub, host, seen, may):
    [ahead] = await seen("warm")
    bearer = host.bearer("ada", may=may)
    notebook = (await client.post("/v1/notebooks", json={"name": "N"}, headers=host.bearer("ada"))).json()
    answer = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=bearer)

    await _ready(client, bearer, answer.json()["id"])

    assert _server_of(hub).seat != ahead
    assert _server_of(hub).options["may"] == may


async def test_a_host_whose_data_is_restricted_never_gets_one_that_is_open(settings, hub, host, tmp_path, seen):
    await _register(settings, tmp_path, dataclasses.replace(host, registration={"data_policy": "restricted"}))
    fenced = settings.model_copy(update={"edge_token": "an edge's secret token"})
    async with running_service(Settings.model_validate(fenced.model_dump()), hub) as client:
        [ahead] = await seen("warm")

        await _ready(client, host.bearer(), await _opened(client, host.bearer()))

        assert hub.server(ahead).options["data_policy"] == "open"
        assert _server_of(hub).seat != ahead
        assert _server_of(hub).options["data_policy"] == "restricted"


@pytest.mark.parametrize("pool", [{"default": PoolSettings(servers=3)}])
async def test_the_last_free_seat_is_never_the_pools(client, hub, host, seen):
    await seen("warm", "warm")
    bearer = host.bearer("ada", may=["edit", "run"])

    await _ready(client, bearer, await _opened(client, bearer))

    assert sorted((await seen("running", "warm", "warm")).values()) == ["running", "warm", "warm"]


@pytest.mark.each_database
@pytest.mark.parametrize("pool", [{"default": PoolSettings(servers=2)}])
async def test_who_waits_for_a_seat_is_given_one_of_the_pools(client, hub, host, seen):
    await seen("warm", "warm")
    users = [host.bearer(user, may=["edit", "run"]) for user in ("ada", "grace", "mary")]

    sessions = [await _opened(client, user) for user in users]

    for user, id in zip(users, sessions, strict=True):
        await _ready(client, user, id)
    await seen("running", "running", "running")


@pytest.mark.parametrize("pool", [{"default": PoolSettings(servers=2)}])
async def test_nothing_is_started_ahead_while_somebody_waits_for_his_start(client, hub, host, seen):
    hub.concurrent_spawn_limit = 1
    hub.spawns_hold = True
    bearer = host.bearer("ada", may=["edit", "run"])
    await seen("warming")
    await _asked_for(hub, "seat-001")
    hub.server("seat-001").ready.set()
    await seen("warm", "warming")
    await _asked_for(hub, "seat-002")

    # The one that is being started has the hub's only place. The next one is whose user waits.
    id = await _opened(client, bearer)
    hub.finish_spawning("seat-002")
    await _ready(client, bearer, id)
    await seen("running", "warm", "warm")


async def test_one_that_dies_is_forgotten_and_replaced(client, hub, states, seen):
    [ahead] = await seen("warm")
    died = hub.server(ahead).options["server_id"]

    hub.kill_server(ahead)

    async with asyncio.timeout(PATIENCE):
        while not any(server.options["server_id"] != died for server in hub.servers.values()):
            await asyncio.sleep(0.05)
    await seen("warm")


async def test_who_gets_one_that_has_just_died_has_it_started_anew(settings, hub, host, seen):
    async with running_service(settings.model_copy(update={"check_interval": timedelta(hours=1)}), hub) as client:
        [ahead] = await seen("warm")
        died = hub.server(ahead).options["server_id"]
        hub.kill_server(ahead)

        await _ready(client, host.bearer(), await _opened(client, host.bearer()))

        assert _server_of(hub).options["server_id"] == died
        assert "ahead" not in _server_of(hub).options


async def test_one_that_is_old_is_replaced(client, settings, hub, seen):
    await seen("warm")
    [old] = hub.started

    await execute(settings, update(Server).values(created_at=now() - timedelta(days=1)))

    async with asyncio.timeout(PATIENCE):
        while old not in hub.stopped:
            await asyncio.sleep(0.05)
    await seen("warm")


async def test_what_nobody_works_in_is_not_taken_for_idle(client, settings, hub, host, seen):
    [ahead] = await seen("warm")
    server, idle_since = hub.server(ahead), now() - timedelta(hours=2)

    async def looked_up():
        # The first look may have begun before, and what comes of the last one comes after it.
        hub.requests.clear()
        async with asyncio.timeout(PATIENCE):
            while hub.requests.count(f"GET /hub/api/users/{ahead}") < 3:
                await asyncio.sleep(0.05)

    await execute(settings, update(Server).values(created_at=idle_since))
    server.last_activity = idle_since
    await looked_up()
    assert hub.server(ahead) is server

    # Nor is he idle who gets it after a while.
    id = await _opened(client, host.bearer())
    await _ready(client, host.bearer(), id)
    await execute(settings, update(Session).values(created_at=idle_since))
    await looked_up()
    assert (await client.get(f"/v1/sessions/{id}", headers=host.bearer())).json()["state"] == "ready"
    assert _server_of(hub) is server


async def test_what_a_profile_does_not_say_any_more_is_replaced(settings, hub, tmp_path, seen):
    file = tmp_path / "profiles.toml"
    file.write_text('[profiles.default]\nimage = "old"\n')
    settings = settings.model_copy(update={"profiles_file": file})
    async with running_service(settings, hub):
        await seen("warm")
        [old] = hub.started
    file.write_text('[profiles.default]\nimage = "new"\n')
    async with running_service(settings, hub):
        async with asyncio.timeout(PATIENCE):
            while old not in hub.stopped or len(hub.started) < 2:
                await asyncio.sleep(0.05)
        await seen("warm")


async def test_a_pool_that_is_switched_off_is_given_up(settings, hub, seen):
    async with running_service(settings, hub):
        await seen("warm")
    async with running_service(settings.model_copy(update={"pool": {}}), hub):
        await seen()
    assert not hub.servers


async def test_a_hub_that_is_drained_gives_its_pool_up(client, settings, hub, seen):
    await seen("warm")
    async with open_database(settings.database_url) as database, database.transaction() as db:
        await drain(db, "default", end_at=None)

    await seen()
    assert not hub.servers


async def test_a_profile_whose_servers_do_not_start_is_not_tried_again_at_once(client, hub, host, seen):
    await seen("warm")
    hub.spawns_fail_later = True
    await _ready(client, host.bearer(), await _opened(client, host.bearer()))
    await _asked_for(hub, "seat-002")
    hub.spawns_fail_later = False
    hub.kill_server("seat-002")
    await seen("running")
    started = len(hub.started)

    # Whoever comes has one started for him all the same.
    await _ready(client, host.bearer("grace"), await _opened(client, host.bearer("grace")))
    assert len(hub.started) == started + 1


async def test_an_operator_sees_them_and_has_them_started_anew(client, hub, seen, command):
    await seen("warm")
    [old] = hub.started

    assert "1 seats taken, 15 free\t1 ahead\t" in (await command("hubs"))[1]
    assert await command("hubs", "empty-pool") == (0, "1 servers that nobody has are ended\n", "")

    async with asyncio.timeout(PATIENCE):
        while old not in hub.stopped:
            await asyncio.sleep(0.05)
    await seen("warm")


async def test_a_pool_of_a_profile_that_there_is_not_is_refused_at_the_start(command, monkeypatch):
    monkeypatch.setenv("INSET_POOL", '{"larg": 1}')

    assert await command("serve") == (2, "", "inset: INSET_POOL: there is no profile larg\n")


async def test_the_bridge_of_a_server_that_is_nobodys_can_store_nothing(client, hub, new_notebook, seen):
    [ahead] = await seen("warm")
    notebook, bridge = await new_notebook(), await hub.credential(ahead)
    content = '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}'

    put = await hub.service.put(
        f"/bridge/v1/notebooks/{notebook['id']}/content", content=content, headers={**bridge, "If-Match": '"1"'}
    )
    made = await hub.service.post("/bridge/v1/notebooks", content=content, headers={**bridge, "Inset-Name": "N"})

    assert (put.status_code, made.status_code) == (404, 403)
    async with hub.service.stream("GET", "/bridge/v1/control", headers=bridge) as stream:
        lines = aiter(stream.aiter_lines())
        told = [await anext(lines) for _ in range(2)]
    assert '"session_ids":[],"origins":[]' in "".join(told).replace(" ", "")


async def test_what_becomes_of_them_is_counted(client, host, seen):
    def taken():
        return COUNTED.get_sample_value("inset_pool_servers_total", {"outcome": "taken"})

    before = taken()
    await seen("warm")

    await _ready(client, host.bearer(), await _opened(client, host.bearer()))

    assert taken() == before + 1


async def _register(settings, tmp_path, *hosts):
    async with open_database(settings.database_url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "registered.toml", *hosts))
