"""Webhooks: what a host's back end is told, by a real receiver on a socket."""

import asyncio
import json
import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import ValidationError
from sqlmodel import select
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from inset.db import open_database
from inset.documents import document_from_jupyter
from inset.hosts import apply_hosts
from inset.models import WebhookDelivery
from inset.notebooks import create_notebook
from inset.settings import WebhookSettings
from inset.webhooks import new_secret
from inset.webhooks.queue import Retrying
from tests.service.conftest import document, problem, running_service, until
from tests.support.hosts import write_hosts_file
from tests.support.real_hub import ROOT
from tests.support.serving import served
from tests.support.webhooks import ALL, NEW_SECRET, SECRET, Receiver

DELIVERIES = "/v1/webhooks/deliveries"


@pytest.fixture
def sending():
    """How webhooks are sent in these tests: tried again soon."""
    return WebhookSettings(retry_after=timedelta(seconds=0.2))


@pytest.fixture
async def settings(settings, sending):
    return settings.model_copy(update={"webhooks": sending})


@pytest.fixture
async def receiver():
    receiver = Receiver()
    async with served(receiver) as url:
        receiver.url = f"{url}/events?for=inset"
        yield receiver
        receiver.open.set()


@pytest.fixture
def register(settings, host, other_host, tmp_path):
    """Register the host application with these endpoints, as `inset hosts apply` does."""

    async def apply(*webhooks):
        host.webhooks[:] = webhooks
        async with open_database(settings.database_url) as database:
            file = write_hosts_file(tmp_path / "hosts.toml", host, other_host)
            await apply_hosts(database, file, signing_key_file=settings.signing_key_file)

    return apply


@pytest.fixture
async def endpoint(receiver, register):
    """The host's one endpoint."""
    endpoint = {"name": "main", "url": receiver.url, "events": ALL, "secrets": [SECRET]}
    await register(endpoint)
    return endpoint


@pytest.fixture
def deliveries(anonymous, host):
    """List what the host's backend sees, oldest first."""

    async def listed(**wanted):
        answer = await anonymous.get(DELIVERIES, params=wanted, headers=host.backend_bearer("x"))
        assert answer.status_code == 200, answer.text
        return answer.json()["items"][::-1]

    return listed


@pytest.fixture
def finished(deliveries):
    """Wait until so many deliveries stand so, and give them."""

    async def wait(state, count=1):
        async with asyncio.timeout(60):
            while len(found := await deliveries(state=state)) < count:
                await asyncio.sleep(0.05)
        return found

    return wait


@pytest.fixture
def verified():
    """Give the sample of `docs/webhooks.md`."""
    names = {}
    exec(re.search(r"```python\n(.*?)```", (ROOT / "docs" / "webhooks.md").read_text(), re.S)[1], names)
    return names["verified"]


@pytest.fixture
def save(client):
    async def put(notebook, base, *sources):
        headers = {"If-Match": f'"{base}"'}
        path = f"/v1/notebooks/{notebook['id']}/content"
        return await client.put(path, json=document(*sources), headers=headers)

    return put


async def test_a_save_is_told_signed_with_all_that_is_known_of_it_but_its_content(
    endpoint, client, receiver, new_notebook, save, finished
):
    notebook = await new_notebook("A private name", document("secret = 'of the cell'"))
    saved = (await save(notebook, 1, "secret = 'of another cell'")).json()

    [first, second] = await receiver.until(2)

    told = Webhook(SECRET).verify(second.body, second.headers)
    assert (first.version, told["type"]) == (1, "notebook.saved")
    told["data"]["receipt"], receipt = told["data"]["receipt"].split(".")[1], saved["receipt"].split(".")[1]
    assert told["data"] == {
        "host": "demo",
        "user": "ada",
        "notebook_id": notebook["id"],
        "session_id": None,
        "version": 2,
        "parent": 1,
        "sha256": saved["sha256"],
        "size": told["data"]["size"],
        "origin": "api",
        "author": "ada",
        "stored_at": told["timestamp"],
        "receipt": receipt,
    }
    assert datetime.fromisoformat(told["timestamp"]) <= datetime.now(UTC)
    assert b"secret" not in second.body
    assert b"private" not in second.body
    assert second.headers["content-type"] == "application/json"
    assert "authorization" not in second.headers
    assert [delivery["event_id"] for delivery in await finished("delivered", 2)] == [first.id, second.id]


async def test_what_was_changed_or_is_old_verifies_neither_by_the_library_nor_by_the_sample(
    endpoint, receiver, new_notebook, verified
):
    await new_notebook()
    [told] = await receiver.until(1)
    good = told.headers
    old = {**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) - 301)}

    assert Webhook(SECRET).verify(told.body, good) == verified(SECRET, good, told.body)

    for secret, body, headers in (
        (NEW_SECRET, told.body, good),
        (SECRET, told.body.replace(b'"version":1', b'"version":2'), good),
        (SECRET, told.body, {**good, "webhook-id": "evt_other"}),
        (SECRET, told.body, {**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)}),
        (SECRET, told.body, old),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, headers)
        with pytest.raises(ValueError, match=r"too old|not signed"):
            verified(secret, headers, body)


async def test_a_session_is_told_when_it_is_ready_and_when_it_is_over(
    receiver, register, client, ready_session, new_notebook
):
    sessions_alone = ["session.ready", "session.ended"]
    await register({"name": "sessions", "url": receiver.url, "events": sessions_alone, "secrets": [SECRET]})
    session = await ready_session()

    await client.delete(f"/v1/sessions/{session['id']}")
    [ready, ended] = await receiver.until(2)

    assert [ready.type, ended.type] == sessions_alone
    told = ended.event["data"]
    assert (told["session_id"], told["notebook_id"], told["user"]) == (session["id"], session["notebook_id"], "ada")
    assert (told["state"], told["reason"]) == ("ended", "closed")
    assert told["opened_at"] < told["ready_at"] < told["ended_at"]
    assert ready.event["data"]["version"] == 1


async def test_a_session_that_fails_is_over_too(endpoint, hub, client, receiver, ready_session):
    session = await ready_session()
    await receiver.until(2)

    hub.kill_server()
    await until(client, session["id"], "failed")
    told = (await receiver.until(3))[2].event

    assert (told["type"], told["data"]["state"], told["data"]["reason"]) == ("session.ended", "failed", "server-died")


@pytest.mark.each_database
async def test_every_save_of_a_server_is_told_in_the_order_of_its_versions(
    endpoint, client, hub, receiver, new_notebook, ready_session
):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    for number in range(2, 6):
        await hub.save_in_jupyter(path, json.dumps(document(f"{number}")))
    await receiver.until(6)
    # Somebody means what the last autosave stored: no new version, and told once more.
    await hub.save_in_jupyter(path, json.dumps(document("5")), origin="save")
    await hub.save_in_jupyter(path, json.dumps(document("6")))

    saves = [one.event["data"] for one in await receiver.until(8) if one.type == "notebook.saved"]

    assert [(told["version"], told["origin"]) for told in saves] == [
        (1, "api"),
        (2, "autosave"),
        (3, "autosave"),
        (4, "autosave"),
        (5, "autosave"),
        (5, "save"),
        (6, "autosave"),
    ]
    assert {told["session_id"] for told in saves[1:]} == {session["id"]}


async def test_a_conflict_is_told_as_kept_beside(endpoint, receiver, new_notebook, save):
    notebook = await new_notebook()
    for number in (1, 2):
        await save(notebook, 1, f"{number}")

    told = (await receiver.until(3))[2].event

    assert told["type"] == "notebook.conflict"
    assert (told["data"]["version"], told["data"]["parent"], told["data"]["current_version"]) == (3, 1, 2)
    assert "notebook.saved" not in [one.type for one in receiver.received[2:]]


async def test_a_failed_delivery_is_made_again_and_those_of_its_notebook_wait_for_it(
    endpoint, receiver, new_notebook, save, finished, deliveries
):
    receiver.answer, receiver.headers = 302, [(b"location", b"/elsewhere")]
    notebook = await new_notebook()
    await receiver.until(1)
    await save(notebook, 1, "2")
    other = await new_notebook("Other")
    async with asyncio.timeout(60):
        while other["id"] not in [one.event["data"]["notebook_id"] for one in receiver.received]:
            await asyncio.sleep(0.02)
        # What came of the attempt is written after it was answered.
        while not (await deliveries())[0]["last_status"]:
            await asyncio.sleep(0.02)
    [first, second] = [one for one in await deliveries() if one["subject"] == notebook["id"]]
    receiver.answer = 204

    await finished("delivered", 3)

    assert (first["last_status"], first["last_error"], first["attempts"] > 0) == (302, "status", True)
    assert (second["state"], second["attempts"], second["next_at"]) == ("waiting", 0, None)
    of_it = [one for one in receiver.received if one.event["data"]["notebook_id"] == notebook["id"]]
    assert [one.version for one in of_it] == [1] * (len(of_it) - 1) + [2]
    assert len({one.id for one in of_it}) == 2
    assert {one.headers["path"] for one in receiver.received} == {"/events"}, "no redirect is followed"


@pytest.mark.parametrize(
    ("status", "asked", "least", "most"),
    [
        (503, "600", 590, 600),
        (429, format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True), 3600, 7200),
        (503, "999999999", 43_000, 43_200),
        (503, "later", -1, 1),
        (500, "600", -1, 1),
    ],
    ids=["seconds", "a date", "bounded", "nonsense", "another status"],
)
async def test_a_receiver_says_when_it_is_tried_again(
    endpoint, receiver, new_notebook, deliveries, status, asked, least, most
):
    receiver.answer, receiver.headers = status, [(b"retry-after", asked.encode())]
    await new_notebook()

    async with asyncio.timeout(60):
        while not (listed := await deliveries()) or listed[0]["last_status"] is None:
            await asyncio.sleep(0.02)
    [waiting] = listed
    failed_at = datetime.now(UTC)

    assert waiting["state"] == "waiting"
    if least > 0:
        assert least - 60 < (datetime.fromisoformat(waiting["next_at"]) - failed_at).total_seconds() <= most
    else:
        await receiver.until(2)


async def test_a_slow_endpoint_holds_up_no_other(settings, receiver, register, new_notebook, finished):
    slow = Receiver()
    slow.open.clear()
    async with served(slow) as url:
        await register(
            {"name": "fast", "url": receiver.url, "events": ALL, "secrets": [SECRET]},
            {"name": "slow", "url": url, "events": ALL, "secrets": [SECRET]},
        )
        for number in range(12):
            await new_notebook(f"{number}")

        await receiver.until(12)
        await slow.until(4)

        assert len(slow.received) == 4, "and it has no more than its share of the attempts"
        slow.open.set()
        await finished("delivered", 24)


@pytest.mark.parametrize(
    "sending", [WebhookSettings(timeout=timedelta(seconds=0.5), retry_after=timedelta(seconds=0.1))], ids=["hasty"]
)
async def test_an_endpoint_that_does_not_answer_in_time_is_asked_again(
    endpoint, receiver, new_notebook, finished, deliveries
):
    receiver.open.clear()
    await new_notebook()
    await receiver.until(2)
    [waiting] = await deliveries()
    receiver.open.set()

    await finished("delivered")

    assert len({one.id for one in receiver.received}) == 1
    assert (waiting["state"], waiting["last_error"], waiting["last_status"]) == ("waiting", "timed-out", None)


async def test_secrets_are_rotated_without_a_gap(endpoint, receiver, register, new_notebook, verified):
    await register({**endpoint, "secrets": [NEW_SECRET, SECRET]})
    await new_notebook("both")
    await receiver.until(1)
    await register({**endpoint, "secrets": [NEW_SECRET]})
    await new_notebook("new")
    [both, new] = await receiver.until(2)

    for secret, told in ((SECRET, both), (NEW_SECRET, both), (NEW_SECRET, new)):
        Webhook(secret).verify(told.body, told.headers)
        verified(secret, told.headers, told.body)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(new.body, new.headers)


@pytest.mark.each_database
async def test_two_replicas_deliver_once(settings, hub, host, endpoint, receiver):
    async with running_service(settings, hub) as one, running_service(settings, hub) as two:
        for number in range(10):
            client = (one, two)[number % 2]
            await client.post("/v1/notebooks", json={"name": f"{number}"}, headers=host.bearer())
        await receiver.until(10)
        async with asyncio.timeout(60):
            while True:
                listed = await two.get(DELIVERIES, params={"state": "delivered"}, headers=host.backend_bearer("x"))
                if len(listed.json()["items"]) == 10:
                    break
                await asyncio.sleep(0.05)

    assert len({told.id for told in receiver.received}) == len(receiver.received) == 10


@pytest.mark.each_database
async def test_what_a_replica_leaves_when_it_stops_another_delivers(settings, hub, host, endpoint, receiver):
    receiver.open.clear()
    async with running_service(settings, hub) as client:
        notebook = (await client.post("/v1/notebooks", json={"name": "N"}, headers=host.bearer())).json()
        await receiver.until(1)
        headers = {**host.bearer(), "If-Match": '"1"'}
        await client.put(f"/v1/notebooks/{notebook['id']}/content", json=document("2"), headers=headers)
    receiver.open.set()
    async with running_service(settings, hub):
        told = await receiver.until(3)

    assert [one.version for one in told] == [1, 1, 2]
    assert told[0].id == told[1].id


async def test_what_happens_while_no_replica_runs_is_told_by_the_next(settings, hub, host, endpoint, receiver):
    content = document_from_jupyter(json.dumps(document("1")).encode())
    async with open_database(settings.database_url) as database, database.transaction() as db:
        notebook = await create_notebook(db, host.id, "ada", "N", content, origin="api")

    async with running_service(settings, hub):
        [told] = await receiver.until(1)

    assert told.event["data"]["notebook_id"] == notebook.id


@pytest.mark.each_database
async def test_an_endpoint_that_answers_410_is_switched_off_until_it_answers_a_ping(
    endpoint, client, host, receiver, new_notebook, save, finished, deliveries, command
):
    receiver.answer = 410
    receiver.open.clear()
    notebook = await new_notebook()
    await save(notebook, 1, "2")
    async with asyncio.timeout(60):
        while len(await deliveries()) < 2:
            await asyncio.sleep(0.05)
    receiver.open.set()
    first, second = await finished("failed", 2)

    refused = await client.post(f"{DELIVERIES}/{first['id']}/resend", headers=host.backend_bearer("x"))
    listed = (await command("webhooks", "list"))[1]
    still = await command("webhooks", "test", "demo")
    receiver.answer = 200
    switched = await command("webhooks", "test", "demo", "--endpoint", "main")

    assert (first["last_status"], second["last_error"], second["attempts"]) == (410, "endpoint-gone", 0)
    assert problem(refused) == "endpoint-off"
    assert "switched off" in listed
    assert (still[0], still[1]) == (1, "main: answered 410\n")
    assert switched[0] == 0
    assert "switched on" in switched[1]
    ping = receiver.received[-1]
    assert Webhook(SECRET).verify(ping.body, ping.headers)["type"] == "ping"
    before = len(receiver.received)
    await new_notebook("Later")
    await receiver.until(before + 1)
    assert receiver.received[before].version == 1


@pytest.mark.parametrize(
    "sending",
    [WebhookSettings(retry_after=timedelta(seconds=0.1), retry_for=timedelta(seconds=0.5))],
    ids=["without-patience"],
)
@pytest.mark.each_database
async def test_what_is_given_up_can_be_resent_by_the_host_and_by_the_operator(
    endpoint, client, host, receiver, new_notebook, save, finished, deliveries, command
):
    receiver.answer = 500
    notebook = await new_notebook()
    await save(notebook, 1, "2")
    await save(notebook, 2, "3")
    failed = await finished("failed", 3)
    receiver.answer = 204
    receiver.received.clear()

    again = await client.post(f"{DELIVERIES}/{failed[2]['id']}/resend", headers=host.backend_bearer("x"))
    await finished("delivered")
    code, told, _ = await command("webhooks", "resend", "--failed-since", "2026-01-01", "--host", "demo")
    await finished("delivered", 3)

    assert {(one["last_status"], one["last_error"]) for one in failed} == {(500, "status")}
    assert (again.status_code, again.json()["state"]) == (202, "waiting")
    assert (code, told) == (0, "2 are sent again\n")
    assert receiver.versions() == [3, 1, 2]
    assert [one.id for one in receiver.received] == [
        failed[2]["event_id"],
        *[one["event_id"] for one in failed[:2]],
    ]


async def test_one_that_was_delivered_can_be_resent_by_its_number(endpoint, receiver, new_notebook, finished, command):
    await new_notebook()
    [done] = await finished("delivered")

    code, told, _ = await command("webhooks", "resend", str(done["id"]))
    await receiver.until(2)
    await finished("delivered")

    assert (code, done["event_id"] in told) == (0, True)
    assert receiver.received[0].body == receiver.received[1].body
    assert (await command("webhooks", "list", "--state", "delivered", "--host", "demo"))[1].count("\n") == 1
    assert (await command("webhooks", "resend", "4711"))[0] == 2
    assert (await command("webhooks", "test", "other"))[0] == 2


@pytest.mark.parametrize("sending", [WebhookSettings(retry_after=timedelta(minutes=1))], ids=["patient"])
async def test_an_endpoint_that_is_removed_gets_nothing_more(
    endpoint, receiver, register, new_notebook, finished, deliveries
):
    receiver.answer = 503
    await new_notebook()
    async with asyncio.timeout(60):
        while [one["last_status"] for one in await deliveries()] != [503]:
            await asyncio.sleep(0.02)

    await register()
    [delivery] = await finished("failed")
    before = len(receiver.received)
    await new_notebook("Later")

    assert delivery["last_error"] == "endpoint-removed"
    assert len(receiver.received) == before


async def test_a_new_endpoint_is_told_nothing_old(endpoint, receiver, register, new_notebook, finished):
    await new_notebook("Old")
    await finished("delivered")
    await register(endpoint, {**endpoint, "name": "second"})
    await new_notebook("New")

    done = await finished("delivered", 3)

    assert sorted(one["endpoint"] for one in done) == ["main", "main", "second"]


async def test_a_host_sees_its_own_deliveries_alone_and_users_see_none(
    endpoint, client, host, other_host, new_notebook, finished
):
    for number in range(3):
        await new_notebook(f"{number}")
    [first, *_] = await finished("delivered", 3)
    theirs = other_host.backend_bearer("ada")

    assert (await client.get(DELIVERIES, headers=theirs)).json()["items"] == []
    assert problem(await client.post(f"{DELIVERIES}/{first['id']}/resend", headers=theirs)) == "delivery-not-found"
    assert problem(await client.get(DELIVERIES)) == "backend-only"
    assert problem(await client.post(f"{DELIVERIES}/{first['id']}/resend")) == "backend-only"
    page = (await client.get(DELIVERIES, params={"limit": 2}, headers=host.backend_bearer("x"))).json()
    rest = {"limit": 2, "cursor": page["next_cursor"]}
    last = (await client.get(DELIVERIES, params=rest, headers=host.backend_bearer("x"))).json()
    assert [one["id"] for one in page["items"] + last["items"]][-1] == first["id"]
    assert last["next_cursor"] is None


async def test_deliveries_of_before_are_taken_up_from_a_dead_replica_and_forgotten_in_time(
    settings, hub, endpoint, receiver
):
    moment = datetime.now(UTC)
    about = {"host_id": "demo", "endpoint": "main", "type": "notebook.saved", "body": "{}"}
    about["give_up_at"] = moment + timedelta(days=1)
    leased = {"lease_owner": "one that died", "attempts": 1, "next_at": moment - timedelta(seconds=1)}
    async with open_database(settings.database_url) as database:
        async with database.transaction() as db:
            for name, state, days, more in (
                ("gone", "delivered", 31, {}),
                ("kept", "failed", 29, {}),
                ("waits", "waiting", 31, {"next_at": moment + timedelta(days=1)}),
                ("left", "waiting", 0, leased),
            ):
                created_at = moment - timedelta(days=days)
                row = WebhookDelivery(event_id=name, subject=name, state=state, created_at=created_at, **more, **about)
                db.add(row)
        async with running_service(settings, hub), asyncio.timeout(60):
            there = ["gone"]
            while "gone" in there:
                await asyncio.sleep(0.05)
                async with database.transaction(read_only=True) as db:
                    there = list((await db.exec(select(WebhookDelivery.event_id))).all())
            [taken_up] = await receiver.until(1)
    assert sorted(there) == ["kept", "left", "waits"]
    assert taken_up.id == "left"


WRONG = [
    {"url": "http://app.example/events"},
    {"url": "ftp://app.example"},
    {"url": "https://user:password@app.example/"},
    {"url": "https://app.example/#part"},
    {"url": "https://app.example/ä"},
    {"url": "https:///events"},
    {"events": []},
    {"events": ["notebook.eaten"]},
    {"secrets": []},
    {"secrets": [SECRET, NEW_SECRET, SECRET]},
    {"secrets": ["whsec_c2hvcnQ="]},
    {"secrets": ["A" * 44]},
    {"name": "Main"},
]


async def test_an_endpoint_that_can_not_be_used_is_refused_in_one_line(settings, host, other_host, command, tmp_path):
    good = {"name": "main", "url": "https://app.example/", "events": ALL, "secrets": [SECRET]}
    for webhooks in ([good, good], *([{**good, **wrong}] for wrong in WRONG)):
        host.webhooks[:] = webhooks
        file = write_hosts_file(tmp_path / "wrong.toml", host, other_host)

        code, _, told = await command("hosts", "apply", str(file))

        assert (code, told.count("\n")) == (2, 1), webhooks
        assert "whsec_A" not in told
        assert "user:password" not in told


async def test_secrets_lie_in_the_database_sealed_and_are_in_no_answer_and_no_log(
    settings, endpoint, new_notebook, finished, command, caplog
):
    caplog.set_level("DEBUG", "inset")
    await new_notebook()
    await finished("delivered")
    async with asyncio.timeout(60):  # the log tells it after the database
        while not re.search("webhook main: notebook.saved evt_.*: delivered", caplog.text):
            await asyncio.sleep(0.02)

    listed = await command("webhooks", "list", "--host", "demo")

    assert "1 delivered" in listed[1]
    secret = SECRET.encode().removeprefix(b"whsec_")
    for file in settings.signing_key_file.parent.glob("inset.db*"):
        assert secret not in file.read_bytes()
    for text in (caplog.text, listed[1], str(await finished("delivered"))):
        assert "whsec_" not in text
    assert endpoint["url"] not in caplog.text


async def test_under_another_signing_key_nothing_is_sent_until_the_file_is_applied_anew(
    settings, hub, host, endpoint, receiver, register, command, tmp_path
):
    other = tmp_path / "other.pem"
    await command("keygen", str(other))
    changed = settings.model_copy(update={"signing_key_file": other})
    async with running_service(changed, hub) as client:
        await client.post("/v1/notebooks", json={"name": "N"}, headers=host.bearer())
        errors = [None]
        async with asyncio.timeout(60):
            while "secret-unreadable" not in errors:
                listed = await client.get(DELIVERIES, headers=host.backend_bearer("x"))
                errors = [one["last_error"] for one in listed.json()["items"]]
                await asyncio.sleep(0.05)
        assert receiver.received == []
        async with open_database(settings.database_url) as database:
            await apply_hosts(database, tmp_path / "hosts.toml", signing_key_file=other)
        await receiver.until(1)


def test_a_new_secret_is_one_that_the_library_takes():
    secret = new_secret()
    headers = {"webhook-id": "i", "webhook-timestamp": str(int(time.time()))}
    signed = Webhook(secret).sign("i", datetime.now(UTC), "{}")

    Webhook(secret).verify("{}", {**headers, "webhook-signature": signed})
    with pytest.raises(ValidationError):
        WebhookSettings(networks=["10.0.0.1/8"])


def test_attempts_are_made_for_three_days_ever_less_often_and_not_all_at_one_moment():
    retrying = Retrying(after=timedelta(seconds=5))
    waits = [retrying.wait(attempts).total_seconds() for attempts in range(1, 17)]

    for wait, seconds in zip(waits, (5, 15, 45, 135, 405, 1215, 3645, 10935, 32805, 43200, 43200), strict=False):
        assert 0.8 * seconds <= wait <= 1.2 * seconds
    assert sum(waits) > 3 * 24 * 3600
    assert len({retrying.wait(1) for _ in range(10)}) > 1
    assert retrying.wait(10_000) < timedelta(hours=15)
