"""What a host's back end is told by itself: the kits post what the service posts, signed as it signs."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from standardwebhooks.webhooks import Webhook

from inset_client import AsyncInset, AsyncUser, BackendOnly, DeliveryNotFound, VersionConflict
from tests.service.conftest import document
from tests.support.insets import ALL, Backend
from tests.support.webhooks import SECRET, Received

pytestmark = ALL

_OF_A_VERSION = {
    "host", "user", "notebook_id", "session_id", "version", "parent", "sha256", "size", "origin", "author",
    "stored_at", "receipt",
}  # fmt: skip
_OF_A_SESSION = {
    "host", "user", "session_id", "notebook_id", "profile", "version", "opened_at", "ready_at",
}  # fmt: skip
SAYS = {
    "notebook.saved": _OF_A_VERSION,
    "notebook.conflict": _OF_A_VERSION | {"current_version"},
    "session.ready": _OF_A_SESSION | {"embeddable"},
    "session.ended": _OF_A_SESSION | {"state", "reason", "ended_at"},
}

Told = Callable[[int], Awaitable[list[Received]]]


@pytest.fixture
def told(backend: Backend, name: str) -> Told:
    """Wait until so many webhooks about this test's user have come."""

    async def told(count: int) -> list[Received]:
        async with asyncio.timeout(60):
            while True:
                mine = [one for one in backend.received.received if one.event["data"]["user"] == name]
                if len(mine) >= count:
                    return mine
                await asyncio.sleep(0.02)

    return told


async def test_what_becomes_of_a_notebook_is_told_in_order_with_proofs(
    inset: AsyncInset, user: AsyncUser, name: str, told: Told
) -> None:
    made = await user.notebooks.create("Analysis", document("1"))
    stored = await user.notebooks.replace(made.id, document("2"), base=1)
    with pytest.raises(VersionConflict):
        await user.notebooks.replace(made.id, document("3"), base=1)
    # What is current by the time of telling is told beside a conflict.
    await told(3)
    await user.notebooks.resolve(made.id, 3, take="mine")
    await user.notebooks.restore(made.id, 1)

    received = await told(5)

    facts = [(one.type, *(one.event["data"][key] for key in ("version", "parent", "origin"))) for one in received]
    assert facts == [
        ("notebook.saved", 1, None, "api"),
        ("notebook.saved", 2, 1, "api"),
        ("notebook.conflict", 3, 1, "api"),
        ("notebook.saved", 4, 2, "restore"),
        ("notebook.saved", 5, 4, "restore"),
    ]
    data = received[1].event["data"]
    assert (data["host"], data["user"], data["author"], data["notebook_id"]) == ("demo", name, name, made.id)
    assert (data["sha256"], data["size"], data["session_id"]) == (stored.sha256, stored.size, None)
    assert received[2].event["data"]["current_version"] == 2
    proved = await inset.verify_receipt(data["receipt"])
    assert (proved.notebook, proved.version, proved.sha256) == (made.id, 2, stored.sha256)


async def test_what_becomes_of_a_session_is_told(user: AsyncUser, told: Told) -> None:
    notebook = await user.notebooks.create("Analysis", document("1"))
    session = await user.sessions.open(notebook.id)
    # Nobody looks at the session: it is told all the same.
    await told(2)
    await user.sessions.close(session.id)

    [ready, ended] = [one.event["data"] for one in await told(3) if one.type.startswith("session.")]

    assert (ready["session_id"], ready["notebook_id"], ready["embeddable"]) == (session.id, notebook.id, True)
    assert (ended["state"], ended["reason"], ended["version"]) == ("ended", "closed", 1)
    assert ended["opened_at"] <= ended["ready_at"] <= ended["ended_at"]


async def test_each_is_signed_and_says_what_it_should_and_nothing_else(user: AsyncUser, told: Told) -> None:
    made = await user.notebooks.create("Analysis", document("1"))
    await user.notebooks.replace(made.id, document("2"), base=1)
    with pytest.raises(VersionConflict):
        await user.notebooks.replace(made.id, document("3"), base=1)
    session = await user.sessions.open(made.id)
    await user.sessions.wait_until_ready(session.id)
    await user.sessions.close(session.id)

    received = await told(5)

    assert {one.type for one in received} == set(SAYS)
    for one in received:
        assert Webhook(SECRET).verify(one.body, one.headers) == one.event
        assert one.headers["content-type"] == "application/json"
        assert set(one.event) == {"type", "timestamp", "data"}
        assert set(one.event["data"]) == SAYS[one.type]
        assert one.event["timestamp"].endswith("Z")
    assert len({one.id for one in received}) == len(received)
    assert all(one.id.startswith("evt_") for one in received)


async def test_what_was_posted_is_listed_and_can_be_sent_again(inset: AsyncInset, user: AsyncUser, told: Told) -> None:
    made = await user.notebooks.create("Analysis", document("1"))
    [first] = await told(1)

    async with asyncio.timeout(60):
        while True:
            listed = [each async for each in inset.deliveries(state="delivered") if each.subject == made.id]
            if listed:
                break
            await asyncio.sleep(0.02)
    again = await inset.resend(listed[0].id)
    received = await told(2)

    assert (listed[0].event_id, listed[0].type, listed[0].endpoint) == (first.id, "notebook.saved", "main")
    assert (listed[0].attempts, listed[0].last_status, listed[0].last_error) == (1, 204, None)
    assert (again.id, again.state) == (listed[0].id, "waiting")
    assert (received[1].id, json.loads(received[1].body)) == (first.id, first.event)
    with pytest.raises(DeliveryNotFound):
        await inset.resend(2**40)


async def test_what_is_not_taken_comes_again_with_what_stands_behind_it(
    backend: Backend, user: AsyncUser, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await user.notebooks.create("Analysis", document("1"))
    refused: list[Received] = []

    def twice(one: Received) -> bool:
        if one.event["data"].get("notebook_id") != made.id or one.version != 2 or len(refused) == 2:
            return False
        refused.append(one)
        return True

    monkeypatch.setattr(backend.received, "refuses", twice)

    await user.notebooks.replace(made.id, document("2"), base=1)
    await user.notebooks.replace(made.id, document("3"), base=2)
    received = await told(5)

    assert [one.version for one in received] == [1, 2, 2, 2, 3]
    assert len({one.id for one in received}) == 3


async def test_only_a_back_end_looks_at_deliveries(inset: AsyncInset, user: AsyncUser, name: str) -> None:
    user_alone = inset.as_user(name)
    inset._backend = user_alone.notebooks._transport

    with pytest.raises(BackendOnly):
        [each async for each in inset.deliveries()]
    with pytest.raises(BackendOnly):
        await inset.resend(1)
