"""A creating request that is sent twice, at once or after trouble, makes one thing."""

import asyncio
import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import text

from inset.clock import now
from inset.db import open_database
from inset.models import IdempotencyKey
from tests.service.conftest import document, problem, running_service, until

LIST = "/v1/notebooks"


@pytest.fixture
async def replicas(settings, hub, host):
    headers = host.bearer()
    async with running_service(settings, hub, **headers) as one, running_service(settings, hub, **headers) as two:
        yield one, two


@pytest.fixture
def keep(settings):
    """Leave the key of a restore of version 1 behind, as a request does that has no answer yet."""

    async def keep(notebook_id, *, ago):
        async with open_database(settings.database_url) as database, database.transaction() as db:
            db.add(
                IdempotencyKey(
                    caller="demo\nada",
                    route=f"POST {LIST}/{notebook_id}/versions/1/restore",
                    key="k",
                    fingerprint=hashlib.sha256(repr((notebook_id, 1)).encode()).hexdigest(),
                    answer={},
                    created_at=now() - ago,
                )
            )

    return keep


async def test_requests_with_one_key_that_come_to_all_replicas_at_once_make_one_notebook(replicas):
    headers = {"Idempotency-Key": "at-once"}

    answers = await asyncio.gather(
        *[replica.post(LIST, json={"name": "Once"}, headers=headers) for replica in replicas * 5]
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len((await replicas[0].get(LIST)).json()["items"]) == 1


async def test_of_two_bodies_with_one_key_at_once_one_is_refused(replicas):
    one, two = replicas
    headers = {"Idempotency-Key": "at-once"}

    answers = await asyncio.gather(
        one.post(LIST, json={"name": "One"}, headers=headers), two.post(LIST, json={"name": "Two"}, headers=headers)
    )

    [refused] = [answer for answer in answers if answer.status_code != 201]
    assert (refused.status_code, problem(refused)) == (422, "idempotency-key-reused")
    assert len((await one.get(LIST)).json()["items"]) == 1


async def test_a_restore_that_calls_a_server_on_its_way_is_done_once(replicas, hub):
    one, two = replicas
    notebook = (await one.post(LIST, json={"name": "N", "content": document("first")})).json()
    path = f"{LIST}/{notebook['id']}"
    await one.put(f"{path}/content", json=document("second"), headers={"If-Match": '"1"'})
    opened = await one.post("/v1/sessions", json={"notebook_id": notebook["id"]})
    await until(one, opened.json()["id"], "ready")

    answers = await asyncio.gather(
        *[
            replica.post(f"{path}/versions/1/restore", headers={"Idempotency-Key": "k"})
            for replica in (one, two, one, two)
        ]
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len((await two.get(f"{path}/versions")).json()["items"]) == 3


async def test_a_request_that_failed_leaves_its_key_free(client, hub, new_notebook, ready_session):
    notebook = await new_notebook(content=document("first"))
    path = f"{LIST}/{notebook['id']}"
    await client.put(f"{path}/content", json=document("second"), headers={"If-Match": '"1"'})
    await ready_session(notebook)
    headers = {"Idempotency-Key": "k"}

    hub.server().deaf = True
    failed = await client.post(f"{path}/versions/1/restore", headers=headers)
    hub.server().deaf = False
    again = await client.post(f"{path}/versions/1/restore", headers=headers)
    once_more = await client.post(f"{path}/versions/1/restore", headers=headers)

    assert problem(failed) == "server-gone"
    assert again.status_code == 201, again.text
    assert again.json() == once_more.json()


async def test_a_request_whose_twin_is_long_at_work_is_told_to_come_again(client, new_notebook, keep):
    notebook = await new_notebook()
    await keep(notebook["id"], ago=timedelta(seconds=10))

    answer = await client.post(f"{LIST}/{notebook['id']}/versions/1/restore", headers={"Idempotency-Key": "k"})

    assert (answer.status_code, problem(answer)) == (409, "request-under-way")
    assert answer.headers["Retry-After"] == "2"


async def test_a_key_whose_request_died_with_its_replica_is_taken_over(client, new_notebook, keep, settings):
    notebook = await new_notebook()
    await keep(notebook["id"], ago=timedelta(minutes=3))
    path = f"{LIST}/{notebook['id']}/versions/1/restore"

    answers = [await client.post(path, headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert {answer.status_code for answer in answers} == {201}
    assert answers[0].json() == answers[1].json()
    async with open_database(settings.database_url) as database, database.transaction() as db:
        rows = await (await db.connection()).execute(text("SELECT count(*) FROM idempotency_keys"))
        assert rows.scalar_one() == 1
