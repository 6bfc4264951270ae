"""`/readyz`: whether a replica can do its work, with a reason where it can't. `/healthz`: that it is there."""

import asyncio

import pytest
from pydantic import SecretStr

from inset.app import create_app
from inset.departure import Departure
from inset.metrics import COUNTED
from tests.service.conftest import execute, problem, running_service
from tests.support.serving import served

WELL = [{"name": name, "reason": None} for name in ("database", "hub", "driver", "shutdown")]


async def _reasons(client, *ignored):
    answer = await client.get("/readyz", params={"ignore": list(ignored)})
    told = answer.json()
    assert (answer.status_code == 503) == any(check["reason"] for check in told["checks"])
    if answer.status_code == 503:
        assert problem(answer) == "not-ready"
    return {check["name"]: check["reason"] for check in told["checks"] if check["reason"]}


async def _at_schema(settings, name):
    await execute(settings, "UPDATE alembic_version SET version_num = :name", name=name)


async def test_a_replica_that_is_well_says_what_it_looked_at(anonymous):
    answer = await anonymous.get("/readyz")

    assert answer.status_code == 200
    hubs = [{"name": "default", "reason": None, "drained": False}]
    assert answer.json() == {"status": "ok", "checks": WELL, "hubs": hubs}


@pytest.mark.parametrize(
    ("trouble", "hub_timeout", "reason"),
    [("down", 30, "unreachable"), ("slow", 1, "unreachable"), ("busy", 30, "busy"), ("error", 30, "unreachable")],
)
async def test_what_is_wrong_with_the_hub_is_told_without_its_words(anonymous, hub, trouble, reason):
    hub.trouble = trouble

    assert await _reasons(anonymous) == {"hub": reason}

    assert "secret" not in (await anonymous.get("/readyz")).text
    assert (await anonymous.get("/healthz")).status_code == 200


async def test_a_token_that_the_hub_refuses_is_told(settings, hub):
    wrong = settings.hub.model_copy(update={"token": SecretStr("another token than the hub's")})
    async with running_service(settings.model_copy(update={"hub": wrong}), hub) as client:
        assert await _reasons(client) == {"hub": "token-refused"}
        assert "another token" not in (await client.get("/readyz")).text


async def test_a_balancer_may_ask_for_what_works_without_the_hub(anonymous, hub):
    hub.trouble = "down"

    assert await _reasons(anonymous, "hub") == {}
    assert problem(await anonymous.get("/readyz?ignore=everything")) == "invalid-request"


@pytest.mark.each_database
async def test_a_database_that_waits_for_its_upgrade_is_told_and_a_newer_one_is_not(anonymous, settings):
    await _at_schema(settings, "0003")
    assert await _reasons(anonymous) == {"database": "schema-outdated"}

    await _at_schema(settings, "next-releases")
    assert await _reasons(anonymous) == {}


async def test_a_replica_that_is_being_stopped_says_so_and_answers_on(settings, hub, host):
    departure = Departure()
    async with served(create_app(settings, departure=departure)) as url:
        departure.announced.set()
        async with running_service(settings, hub, **host.bearer("ada")) as other:
            other.base_url = url
            assert await _reasons(other) == {"shutdown": "leaving"}
            assert (await other.post("/v1/notebooks", json={"name": "Late"})).status_code == 201


@pytest.mark.parametrize("hub_timeout", [1])
async def test_however_many_ask_at_once_the_hub_is_asked_by_one(anonymous, hub):
    hub.trouble = "slow"
    before = _hub_calls()

    answers = await asyncio.gather(*(anonymous.get("/readyz") for _ in range(40)))

    assert {answer.status_code for answer in answers} == {503}
    assert 0 < _hub_calls() - before < 20


def _hub_calls():
    return (
        COUNTED.get_sample_value(
            "inset_hub_call_seconds_count", {"call": "GET /user", "outcome": "unreachable", "hub": "default"}
        )
        or 0
    )
