"""Turning a user away: what it refuses, what it ends, and what stays good."""

import asyncio
import time
from urllib.parse import quote

import pytest

from inset.db import open_database
from inset.users import revoke_user
from tests.service.conftest import events, problem, running_service, until

pytestmark = pytest.mark.each_database

LIST = "/v1/notebooks"


def _revoke(client, host, user, **headers):
    return client.post(f"/v1/users/{user}/revoke", headers=headers or host.backend_bearer("somebody"))


async def test_a_revoked_users_tokens_are_refused_until_his_host_signs_new_ones(anonymous, host):
    for iat in (int(time.time()) - 5, int(time.time()), None):
        assert (await anonymous.get(LIST, headers=host.bearer("ada", iat=iat))).status_code == 200
    before = [host.bearer("ada", iat=iat) for iat in (int(time.time()) - 5, int(time.time()), None)]

    answer = await _revoke(anonymous, host, "ada")

    assert answer.status_code == 200
    assert answer.json()["sessions_ended"] == 0
    for token in before:
        refused = await anonymous.get(LIST, headers=token)
        assert (refused.status_code, problem(refused)) == (401, "token-revoked")
    async with asyncio.timeout(30):
        # In the second of the revocation itself nobody can tell before from after: until it is over, new ones are old.
        while (await anonymous.get(LIST, headers=host.bearer("ada"))).status_code != 200:
            await asyncio.sleep(0.05)
    assert problem(await anonymous.get(LIST, headers=before[1])) == "token-revoked"


async def test_a_revocation_reaches_nobody_else(anonymous, host, other_host):
    await _revoke(anonymous, host, "ada")

    assert (await anonymous.get(LIST, headers=host.bearer("grace"))).status_code == 200
    assert (await anonymous.get(LIST, headers=other_host.bearer("ada"))).status_code == 200
    assert (await anonymous.get(LIST, headers=host.backend_bearer("ada"))).status_code == 200


async def test_a_revoked_users_sessions_end_with_what_jupyter_wrote(client, hub, host, new_notebook, ready_session):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    hub.server().files[path] = '{"written": true}'
    hub.server().page_edits[path] = '{"only in the page": true}'

    answer = await _revoke(client, host, "ada")

    assert answer.json()["sessions_ended"] == 1
    client.headers.update(host.backend_bearer("ada"))
    assert (await until(client, session["id"], "ended"))["ending_reason"] == "revoked"
    assert (await client.get(f"{LIST}/{notebook['id']}/content")).text == '{"written": true}'


async def test_an_open_event_stream_tells_the_end_and_closes(client, host, ready_session):
    session = await ready_session()
    begun = asyncio.Event()
    following = asyncio.create_task(_heard(client, session["id"], begun))
    await begun.wait()

    await _revoke(client, host, "ada")

    async with asyncio.timeout(15):
        (ending, told), (ended, _) = (await following)[-2:]
    assert (ending, ended) == ("ending", "ended")
    assert (told["reason"], told["in"]) == ("revoked", 0)


async def _heard(client, session_id, begun):
    heard = []
    async for event in events(client, session_id):
        heard.append(event)
        begun.set()
    return heard


async def test_only_the_hosts_backend_turns_users_away(anonymous, host):
    for user in ("ada", "grace"):
        answer = await _revoke(anonymous, host, user, **host.bearer("ada"))
        assert (answer.status_code, problem(answer)) == (403, "backend-only")
    assert (await anonymous.get(LIST, headers=host.bearer("ada"))).status_code == 200


@pytest.mark.parametrize("user", ["a/b", "a/revoke", "ä b", "💡", "x" * 255])
async def test_a_user_is_named_as_the_host_names_him(anonymous, host, user):
    before = host.bearer(user)

    answer = await _revoke(anonymous, host, quote(user, safe=""))

    assert answer.json()["user"] == user
    assert problem(await anonymous.get(LIST, headers=before)) == "token-revoked"


@pytest.mark.parametrize("user", ["x" * 256, "%07"])
async def test_what_can_be_no_user_is_refused(anonymous, host, user):
    assert problem(await _revoke(anonymous, host, user)) == "invalid-request"


async def test_a_token_that_is_signed_for_later_is_no_way_around(anonymous, host):
    now = int(time.time())

    later = host.bearer("ada", iat=now - 3600, exp=now + 300)

    assert problem(await anonymous.get(LIST, headers=later)) == "token-lifetime"


async def test_an_operator_revokes_a_user_and_every_replica_knows(settings, hub, host, command):
    async with running_service(settings, hub) as one, running_service(settings, hub) as two:
        token = host.bearer("ada")
        assert (await two.get(LIST, headers=token)).status_code == 200

        code, printed, _ = await command("users", "revoke", "demo", "ada")

        assert (code, printed.strip()) == (0, "revoked ada: 0 sessions are being saved and ended")
        for replica in (one, two):
            assert problem(await replica.get(LIST, headers=token)) == "token-revoked"
    code, _, errors = await command("users", "revoke", "nobody", "ada")
    assert (code, errors.strip()) == (2, "inset: no host application is registered as 'nobody'")


async def test_a_second_revocation_counts_from_then_on(settings, anonymous, host):
    async with open_database(settings.database_url) as database:
        async with database.transaction() as db:
            first = await revoke_user(db, "demo", "ada")
        async with asyncio.timeout(30):
            while (await anonymous.get(LIST, headers=host.bearer("ada"))).status_code != 200:
                await asyncio.sleep(0.05)
        between = host.bearer("ada")
        async with database.transaction() as db:
            second = await revoke_user(db, "demo", "ada")

    assert second.revoked_at > first.revoked_at
    assert problem(await anonymous.get(LIST, headers=between)) == "token-revoked"
