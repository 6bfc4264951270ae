"""Sessions and users, at the real service with a fake hub and at every kit."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from inset_client import (
    AsyncInset,
    AsyncUser,
    BackendOnly,
    DataCredential,
    NotebookInUse,
    SessionFailed,
    SessionNotFound,
    TokenRevoked,
)
from tests.service.conftest import document
from tests.support.insets import ALL

pytestmark = ALL


async def test_a_notebook_opens_is_saved_and_closes(user: AsyncUser) -> None:
    notebook = await user.notebooks.create("Analysis", document("1"))
    opened = await user.sessions.open(notebook.id)
    ready = await user.sessions.wait_until_ready(opened.id)
    assert (ready.state, ready.embeddable, ready.version) == ("ready", True, 1)
    assert (await user.sessions.open(notebook.id)).id == opened.id

    frame = await user.sessions.iframe_url(opened.id)
    assert "#ticket=" in frame.url
    assert frame.expires_at > datetime.now(UTC)
    assert (await user.sessions.save(opened.id)).version == 1
    with pytest.raises(NotebookInUse) as caught:
        await user.notebooks.delete(notebook.id)
    assert caught.value.session_id == opened.id

    assert [each.id async for each in user.sessions.list(live=True)] == [opened.id]
    await user.sessions.close(opened.id)
    assert (await user.sessions.wait_until_over(opened.id)).state == "ended"
    assert [each.id async for each in user.sessions.list()] == [opened.id]


async def test_what_happens_to_a_session_is_told_from_where_one_left_off(user: AsyncUser) -> None:
    notebook = await user.notebooks.create("Analysis", document("1"))
    session = await user.sessions.open(notebook.id)
    await user.sessions.wait_until_ready(session.id)
    await user.sessions.close(session.id)

    told = [event async for event in user.sessions.follow(session.id)]
    later = [event async for event in user.sessions.follow(session.id, after=told[1].id)]

    assert told[0].kind == "progress"
    assert told[-1].kind == "ended"
    assert {"ready", "ending"} <= {event.kind for event in told}
    assert [event.id for event in told] == sorted({event.id for event in told})
    assert later == told[2:]
    assert [event async for event in user.sessions.follow(session.id, after=told[-1].id)] == []


async def test_a_session_that_ends_instead_is_not_waited_for(user: AsyncUser) -> None:
    notebook = await user.notebooks.create("Analysis", document("1"))
    session = await user.sessions.open(notebook.id)
    await user.sessions.close(session.id)

    with pytest.raises(SessionFailed, match="has ended"):
        await user.sessions.wait_until_ready(session.id)


async def test_waiting_has_an_end(user: AsyncUser) -> None:
    notebook = await user.notebooks.create("Analysis", document("1"))
    session = await user.sessions.open(notebook.id)
    await user.sessions.wait_until_ready(session.id)

    with pytest.raises(TimeoutError):
        await user.sessions.wait_until_over(session.id, within=0.2)
    await user.sessions.close(session.id)


async def test_credentials_are_the_backends_to_give(inset: AsyncInset, user: AsyncUser, name: str) -> None:
    notebook = await user.notebooks.create("Analysis", document("1"))
    backend, until = inset.acting_for(name), datetime.now(UTC) + timedelta(hours=1)
    token = DataCredential("very secret", expires_at=until)
    assert "very secret" not in repr(token)

    with pytest.raises(BackendOnly):
        await user.sessions.open(notebook.id, credentials={"warehouse": token})
    session = await backend.sessions.open(notebook.id, credentials={"warehouse": token})
    held = await backend.sessions.put_credentials(session.id, {"lake": DataCredential("x"), "warehouse": token})

    assert held.expires_at == {"lake": None, "warehouse": until}
    await user.sessions.close(session.id)


async def test_a_revoked_user_is_turned_away(inset: AsyncInset, user: AsyncUser, name: str) -> None:
    notebook = await user.notebooks.create("Analysis", document("1"))
    session = await user.sessions.open(notebook.id)

    revoked = await inset.revoke(name)

    assert (revoked.user, revoked.sessions_ended) == (name, 1)
    with pytest.raises(TokenRevoked):
        await user.notebooks.get(notebook.id)
    backend = inset.acting_for(name)
    assert (await backend.sessions.wait_until_over(session.id)).ending_reason == "revoked"
    with pytest.raises(SessionNotFound):
        await inset.acting_for("another").sessions.get(session.id)


async def test_a_user_may_be_named_anything(inset: AsyncInset, name: str) -> None:
    odd = f"{name}/ünd so?x=1#%2F"

    assert (await inset.revoke(odd)).user == odd


async def test_many_calls_share_one_client(user: AsyncUser) -> None:
    made = await asyncio.gather(*(user.notebooks.create(f"Number {number}") for number in range(8)))

    assert len({each.id for each in made}) == 8
