"""What one host application may use, whatever the others do."""

import asyncio
import dataclasses
import json
from datetime import timedelta

import pytest
from sqlalchemy import func
from sqlmodel import select

from inset.clock import now
from inset.db import open_database
from inset.hosts import apply_hosts
from inset.models import CallCount, Revocation
from tests.service.conftest import document, problem, running_service
from tests.support.hosts import write_hosts_file

pytestmark = pytest.mark.each_database

LIST = "/v1/notebooks"


@pytest.fixture
def limit(settings, host, tmp_path):
    """Give the host these limits."""

    async def apply(**limits):
        limited = dataclasses.replace(host, registration={f"limits.{name}": value for name, value in limits.items()})
        async with open_database(settings.database_url) as database:
            await apply_hosts(database, write_hosts_file(tmp_path / "limited.toml", limited))

    return apply


async def _open(client, bearer):
    notebook = (await client.post(LIST, json={"name": "N"}, headers=bearer)).json()
    return await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=bearer)


async def test_a_host_has_so_many_sessions_at_once(client, host, other_host, limit):
    await limit(sessions=1)
    first = await _open(client, host.bearer("ada"))

    refused = await _open(client, host.bearer("grace"))

    assert (refused.status_code, problem(refused)) == (409, "session-limit")
    assert (refused.json()["limit"], refused.json()["of"]) == (1, "host")
    assert (await _open(client, other_host.bearer("ada"))).status_code == 202
    await client.delete(f"/v1/sessions/{first.json()['id']}")
    assert (await _open(client, host.bearer("grace"))).status_code == 202


async def test_a_user_has_so_many_sessions_at_once(client, host, limit):
    await limit(sessions_per_user=1)
    first = await _open(client, host.bearer("ada"))

    refused = await _open(client, host.bearer("ada"))

    assert (problem(refused), refused.json()["of"]) == ("session-limit", "user")
    assert problem(await _open(client, host.backend_bearer("ada"))) == "session-limit"
    assert (await _open(client, host.bearer("grace"))).status_code == 202
    joined = await client.post("/v1/sessions", json={"notebook_id": first.json()["notebook_id"]})
    assert joined.status_code == 200, "to join an open one opens none"
    narrower = await client.post(
        "/v1/sessions", json={"notebook_id": first.json()["notebook_id"]}, headers=host.bearer("ada", may=["run"])
    )
    assert narrower.status_code == 202, "it takes the other one's place"


async def test_of_many_that_open_at_once_at_two_replicas_only_so_many_get_in(settings, hub, host, limit):
    hub.spawns_hold = True
    await limit(sessions=2)
    async with running_service(settings, hub) as one, running_service(settings, hub) as two:
        bearers = [host.bearer(f"user-{number}") for number in range(8)]
        opened = await asyncio.gather(
            *[_open(replica, bearer) for replica, bearer in zip([one, two] * 4, bearers, strict=True)]
        )

    assert sorted(answer.status_code for answer in opened) == [202] * 2 + [409] * 6


async def test_a_hosts_own_largest_notebook_is_told(client, host, other_host, limit, hub, new_notebook, ready_session):
    await limit(notebook_size="10 KB")
    notebook = await new_notebook()
    large = document("x" * 20_000)

    made = await client.post(LIST, json={"name": "Large", "content": large})
    put = await client.put(f"{LIST}/{notebook['id']}/content", json=large, headers={"If-Match": '"1"'})

    for refused in (made, put):
        assert (refused.status_code, problem(refused)) == (413, "notebook-too-large")
        assert refused.json()["limit"] == 10_000
    theirs = await client.post(LIST, json={"name": "Large", "content": large}, headers=other_host.bearer())
    assert theirs.status_code == 201

    await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    saved = await hub.save_in_jupyter(path, json.dumps(large))
    assert (saved.status_code, problem(saved)) == (413, "notebook-too-large")
    hub.server().documents[notebook["id"]]["version"] = 1
    small = await hub.save_in_jupyter(path, json.dumps(document("small")))
    assert small.status_code == 200, "a later save may be smaller"
    born = await client.post(
        "/bridge/v1/notebooks",
        content=json.dumps(large),
        headers={**await hub.credential(), "Inset-Name": "Born"},
    )
    assert (problem(born), born.json()["limit"]) == ("notebook-too-large", 10_000)


async def test_a_user_makes_so_many_calls_a_minute_at_all_replicas_together(settings, hub, host, other_host, limit):
    await limit(requests_per_minute=5)
    async with running_service(settings, hub) as one, running_service(settings, hub) as two:
        # Of twenty, a minute that ends among them lets through twice five at the most.
        answers = [await replica.get(LIST, headers=host.bearer("ada")) for replica in (one, two) * 10]
        passed = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code == 429]

        assert 5 <= len(passed) <= 10
        assert len(passed) + len(refused) == len(answers)
        assert {problem(answer) for answer in refused} == {"rate-limited"}
        assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in refused)
        for somebody_else in (host.bearer("grace"), other_host.bearer("ada")):
            assert (await one.get(LIST, headers=somebody_else)).status_code == 200


async def test_event_streams_and_bridges_do_not_count(client, hub, host, limit, new_notebook, ready_session):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    await limit(requests_per_minute=1)
    while (await client.get(LIST)).status_code != 429:
        pass

    for number in range(3):
        async with client.stream("GET", f"/v1/sessions/{session['id']}/events") as stream:
            assert stream.status_code == 200
        assert (await hub.save_in_jupyter(path, json.dumps(document(str(number))))).status_code == 200


async def test_a_page_can_read_when_to_come_back(client, host, limit):
    await limit(requests_per_minute=1)
    while (answer := await client.get(LIST, headers={"Origin": host.origins[0]})).status_code != 429:
        pass

    assert answer.headers["Access-Control-Allow-Origin"] == host.origins[0]
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


async def test_where_there_is_no_limit_nothing_is_counted(client, settings, limit):
    for _ in range(3):
        await client.get(LIST)
    assert await _rows(settings, CallCount) == 0

    await limit(requests_per_minute=100)
    await client.get(LIST)
    assert await _rows(settings, CallCount) == 1


async def test_counts_and_revocations_that_mean_nothing_any_more_are_swept(settings, hub, host):
    async with open_database(settings.database_url) as database, database.transaction() as db:
        for user, time in (("ada", now() - timedelta(hours=1)), ("grace", now())):
            db.add(CallCount(host_id="demo", user=user, minute=time, calls=1))
            db.add(Revocation(host_id="demo", user=user, revoked_at=time))

    async with running_service(settings, hub) as client, asyncio.timeout(10):
        while await _rows(settings, CallCount) != 1 or await _rows(settings, Revocation) != 1:
            await asyncio.sleep(0.05)
        # What is left is what still counts.
        assert problem(await client.get(LIST, headers=host.bearer("grace", iat=None))) == "token-revoked"


async def _rows(settings, table):
    async with open_database(settings.database_url) as database, database.transaction(read_only=True) as db:
        return (await db.exec(select(func.count()).select_from(table))).one()


@pytest.mark.parametrize(
    "limits", [{"sessions": 0}, {"requests_per_minute": -1}, {"notebook_size": "huge"}, {"notebook_size": 0}, {"x": 1}]
)
async def test_a_limit_that_means_nothing_is_refused(limit, limits):
    with pytest.raises(ValueError, match="limits"):
        await limit(**limits)


async def test_a_session_that_waits_counts_as_open(client, hub, host, limit):
    hub.spawns_hold = True
    await limit(sessions_per_user=1)
    await _open(client, host.bearer("ada"))

    assert problem(await _open(client, host.bearer("ada"))) == "session-limit"
