"""A hub full of servers: opening one more session reads no more of the database, and all are still looked up."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import event, func
from sqlalchemy.engine import Connection, Engine
from sqlmodel import col, select

from inset.clock import now
from inset.db import open_database
from inset.models import Server, ServerState
from tests.fakes.fake_hub import FakeHub, FakeServer
from tests.service.conftest import until

SERVERS = 300
PATIENCE = 100
SOME = 60
"""More rows than any statement of an opening gives, and fewer than there are servers."""


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub(seats=SERVERS + 3)


@pytest.fixture
def database_kind() -> str:
    """The one whose driver says how many rows a statement gave."""
    return "postgresql"


@pytest.fixture
async def settings(settings, hub, host):
    settings = settings.model_copy(
        update={
            "hub": settings.hub.model_copy(update={"seats": len(hub.seats)}),
            # What a hub has said of all is good for half of this, and to look 300 servers up takes a quarter of that.
            "check_interval": timedelta(seconds=120),
        }
    )
    async with open_database(settings.database_url) as database, database.transaction() as db:
        for number, seat in enumerate(hub.seats[:SERVERS]):
            db.add(
                Server(
                    id=f"server-{number}",
                    host_id=host.id,
                    owner=f"user-{number}",
                    seat=seat,
                    state=ServerState.RUNNING,
                    url=f"{hub.public_url}/user/{seat}/",
                    checked_at=now() - timedelta(hours=1),
                )
            )
            hub.servers[seat] = FakeServer(seat, {"server_id": f"server-{number}"})
            hub.servers[seat].ready.set()
    return settings


@pytest.fixture
def hub_without_lists(hub):
    hub.scopes.remove("list:users!group=seats")


@pytest.fixture(scope="module")
def executed():
    """Note of each statement that the ORM executes how many rows it gave."""
    noted: list[tuple[int, str]] = []

    def note(connection, cursor, statement, *_):
        noted.append((cursor.rowcount, statement))

    # A connection that joins a transaction hears of its own class's, if the engine has any at all.
    for heard in (Connection, Engine):
        event.listen(heard, "after_cursor_execute", note)
    yield noted
    for heard in (Connection, Engine):
        event.remove(heard, "after_cursor_execute", note)


@pytest.fixture
def given(executed, settings):
    """What has been noted since the service runs: the test's own preparations are no part of it."""
    executed.clear()
    return executed


async def test_an_opening_reads_a_few_rows_at_a_time_however_many_servers_there_are(given, client, ready_session, hub):
    session = await ready_session()

    rows, statement = max(given)
    assert 0 < rows < SOME, statement
    assert [server.seat for server in hub.servers.values() if server.options["server_id"] in hub.started] == [
        hub.seats[SERVERS]
    ]
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")


async def test_where_a_hub_lists_none_servers_are_looked_up_a_few_at_a_time_and_all_of_them(
    hub_without_lists, given, client, hub
):
    async with asyncio.timeout(PATIENCE):
        while not all(any(request.endswith(seat) for request in hub.requests) for seat in hub.seats[:SERVERS]):
            await asyncio.sleep(0.2)

    rows, statement = max(given)
    assert 0 < rows < SOME, statement


async def test_where_there_are_many_a_hub_is_asked_for_all_at_once_and_a_dead_one_is_noticed(settings, client, hub):
    hub.kill_server(hub.seats[7])
    async with open_database(settings.database_url) as database, asyncio.timeout(PATIENCE):
        while True:
            async with database.transaction(read_only=True) as db:
                looked_after = select(func.count()).where(col(Server.checked_at) > now() - timedelta(minutes=30))
                dead = select(Server.seat).where(col(Server.died_at).is_not(None))
                seats = (await db.exec(dead)).all()
                if (await db.exec(looked_after)).one() == SERVERS and seats:
                    break
            await asyncio.sleep(0.2)

    assert seats == [hub.seats[7]]
    assert hub.requests.count("GET /hub/api/users") == SERVERS / 100
    assert not any(f"GET /hub/api/users/{seat}" in hub.requests for seat in hub.seats[:SERVERS] if seat != hub.seats[7])
