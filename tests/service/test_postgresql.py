"""What a production database does to a service, and what the service's callers are told of it."""

import asyncio
import threading
from datetime import timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.pool import Pool

from inset.db import open_database
from inset.doctor.at_home import Home
from inset.engines import async_url
from inset.settings import DatabaseSettings
from tests.service.conftest import document, problem, running_service

LIST = "/v1/notebooks"


@pytest.fixture
def database_kind():
    return "postgresql"


@pytest.fixture
def server(databases):
    return databases.server


def _name(settings):
    return settings.database_url.partition("?")[0].rpartition("/")[2]


def _with(settings, **changes):
    return settings.model_copy(update={"database": DatabaseSettings(**changes)})


async def test_a_server_that_dies_is_told_and_forgiven(client, server, new_notebook):
    notebook = await new_notebook()
    path = f"{LIST}/{notebook['id']}/content"

    server.kill()
    try:
        assert problem(await client.get("/readyz")) == "not-ready"
        refused = [
            await client.get(path),
            await client.put(path, json=document("2"), headers={"If-Match": '"1"'}),
            await client.post(LIST, json={"name": "N"}),
        ]
    finally:
        server.start()

    assert {(answer.status_code, problem(answer)) for answer in refused} == {(503, "database-unavailable")}
    assert "socket" not in "".join(answer.text for answer in refused)
    assert (await client.get(path)).headers["ETag"] == '"1"'
    assert (await client.put(path, json=document("2"), headers={"If-Match": '"1"'})).status_code == 200
    assert (await client.get("/readyz")).status_code == 200


async def test_a_restart_of_the_server_between_two_calls_is_not_noticed(client, server, settings, new_notebook):
    notebook = await new_notebook()
    await server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_name(settings)}'")

    assert (await client.get(f"{LIST}/{notebook['id']}")).status_code == 200


async def test_connections_that_die_one_after_the_other_are_not_noticed_either(client, server, settings, new_notebook):
    path = f"{LIST}/{(await new_notebook())['id']}"
    ends_one = (
        "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity"
        f" WHERE datname = '{_name(settings)}' ORDER BY state_change LIMIT 1"
    )

    def end_the_next(*_):
        # While the loop of the service stands still: it hears of it only by asking.
        ending = threading.Thread(target=asyncio.run, args=(server.execute(ends_one),))
        ending.start()
        ending.join()

    await asyncio.gather(*(client.get(path) for _ in range(20)))
    event.listen(Pool, "invalidate", end_the_next)
    try:
        end_the_next()
        answers = [await client.get(path) for _ in range(20)]
    finally:
        event.remove(Pool, "invalidate", end_the_next)

    assert {answer.status_code for answer in answers} == {200}


async def test_a_database_that_has_become_read_only_is_told_as_unavailable(client, server, settings, new_notebook):
    notebook = await new_notebook()
    await server.execute(f"ALTER DATABASE {_name(settings)} SET default_transaction_read_only = on")
    await server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_name(settings)}'")

    refused = await client.post(LIST, json={"name": "N"})

    assert (refused.status_code, problem(refused)) == (503, "database-unavailable")
    assert (await client.get(f"{LIST}/{notebook['id']}")).status_code == 200


async def test_what_is_locked_or_taken_for_too_long_is_told_as_unavailable(settings, hub, host):
    # More connections than the service's own work takes at once, and fewer than there are calls below: of these some
    # wait for a lock, the others for a connection.
    hasty = _with(settings, lock_timeout=0.2, pool_size=10, pool_overflow=0, pool_timeout=0.2)
    async with (
        running_service(hasty, hub, **host.bearer()) as client,
        open_database(settings.database_url) as database,
    ):
        notebook = (await client.post(LIST, json={"name": "N"})).json()
        path = f"{LIST}/{notebook['id']}/content"
        async with database.transaction() as db:
            await db.exec(text(f"SELECT id FROM notebooks WHERE id = '{notebook['id']}' FOR UPDATE"))
            refused = await asyncio.gather(
                *[client.put(path, json=document("2"), headers={"If-Match": '"1"'}) for _ in range(30)]
            )

        assert {(answer.status_code, problem(answer)) for answer in refused} == {(503, "database-unavailable")}
        assert (await client.put(path, json=document("2"), headers={"If-Match": '"1"'})).status_code == 200


async def test_every_transaction_is_as_it_was_chosen(settings):
    chosen = DatabaseSettings(statement_timeout=timedelta(seconds=7), lock_timeout="3", transaction_timeout="PT2M")
    asked = (
        "transaction_isolation", "transaction_read_only", "statement_timeout", "lock_timeout",
        "idle_in_transaction_session_timeout", "application_name",
    )  # fmt: skip

    async def found(*options, read_only):
        async with (
            open_database(settings.database_url, *options) as database,
            database.transaction(read_only=read_only) as db,
        ):
            return [(await db.exec(text(f"SHOW {name}"))).scalar_one() for name in asked]

    times = ["7s", "3s", "2min", "inset"]
    assert await found(chosen, read_only=False) == ["read committed", "off", *times]
    assert await found(chosen, read_only=True) == ["repeatable read", "on", *times]
    assert await found(read_only=False) == ["read committed", "off", "1min", "15s", "1min", "inset"]
    # What takes long is not cut off.
    assert await found(None, read_only=True) == ["repeatable read", "on", "0", "0", "0", "inset"]


async def test_a_reader_sees_one_state_of_the_database_whatever_is_committed_meanwhile(settings):
    count = text("SELECT count(*) FROM used_tickets")
    async with open_database(settings.database_url) as database, database.transaction(read_only=True) as reader:
        before = (await reader.exec(count)).scalar_one()
        async with database.transaction() as writer:
            await writer.exec(text("INSERT INTO used_tickets VALUES ('j', now())"))

        assert (await reader.exec(count)).scalar_one() == before


async def test_contents_are_not_compressed_once_more(settings):
    stored = text("SELECT attstorage FROM pg_attribute WHERE attrelid = 'bodies'::regclass AND attname = 'content'")
    async with open_database(settings.database_url) as database, database.transaction(read_only=True) as db:
        assert (await db.exec(stored)).scalar_one() in ("e", b"e")


async def test_the_doctor_knows_a_server_that_may_lose_what_it_acknowledged(settings, server):
    async def found(settings):
        async with open_database(settings.database_url) as database:
            return {finding.code: finding for finding in await Home(settings, database).database()}

    assert set(await found(settings)) == {"database"}
    assert set(await found(_with(settings, pool_size=1000))) == {"database-connections"}
    away = settings.model_copy(update={"database_url": "postgresql://inset@127.0.0.1:1/nothing"})
    assert set(await found(away)) == {"database-unreachable"}
    await server.execute(f"ALTER DATABASE {_name(settings)} SET synchronous_commit = off")
    assert "`synchronous_commit = off`" in (await found(settings))["database-not-durable"].message


@pytest.mark.parametrize("name", ["%00", "a%00b"])
async def test_text_that_no_database_column_can_hold_is_no_accident(client, name):
    for answer in (
        await client.get(f"{LIST}/{name}"),
        await client.get(f"{LIST}/{name}/content"),
        await client.get(f"{LIST}?q={name}"),
        await client.get(f"/v1/sessions/{name}"),
        await client.post("/v1/sessions", json={"notebook_id": "a\0b"}),
        await client.post(
            "/v1/sessions", content=b'{"notebook_id": "\\ud800"}', headers={"Content-Type": "application/json"}
        ),
    ):
        assert answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("postgresql://a:b@h:1/d", "postgresql+asyncpg://a:b@h:1/d"),
        ("postgres://h/d", "postgresql+asyncpg://h/d"),
        ("postgresql+asyncpg://h/d", "postgresql+asyncpg://h/d"),
        ("postgresql://h/d?sslmode=verify-full", "postgresql+asyncpg://h/d?ssl=verify-full"),
        ("sqlite:///a.db", "sqlite+aiosqlite:///a.db"),
        ("sqlite:////a.db", "sqlite+aiosqlite:////a.db"),
        ("sqlite+aiosqlite:///a.db", "sqlite+aiosqlite:///a.db"),
    ],
)
def test_urls_are_read_as_operators_write_them(written, read):
    assert async_url(written).render_as_string(hide_password=False) == read


@pytest.mark.parametrize("url", ["mysql://h/d", "postgresql+psycopg2://h/d", "nothing"])
async def test_another_kind_of_database_is_one_clear_line(command, monkeypatch, url):
    monkeypatch.setenv("INSET_DATABASE_URL", url)

    code, _, told = await command("db", "upgrade")

    assert (code, told.count("\n")) == (2, 1)


@pytest.mark.parametrize("subcommand", ["upgrade", "check"])
async def test_a_database_that_cannot_be_reached_is_one_clear_line(command, monkeypatch, subcommand):
    monkeypatch.setenv("INSET_DATABASE_URL", "postgresql://inset:a-password@127.0.0.1:1/nothing")

    code, _, told = await command("db", subcommand)

    assert (code, told.count("\n")) == (2, 1)
    assert "a-password" not in told
