"""What the SDK calls, and what a host's backend calls before it: at the real service and at every kit."""

import time
from typing import Any

import httpx
import pytest
from jose import jwt

from inset_client import (
    AsyncInset,
    AsyncUser,
    NotAllowed,
    NotANotebook,
    NotebookNotFound,
    SessionNotFound,
    SessionOver,
    TokenAudience,
    TokenExpired,
    TokenSignature,
    TokenUnknownIssuer,
)
from tests.service.conftest import document
from tests.support.insets import ALL

pytestmark = ALL


async def test_a_notebook_is_made_found_and_read(user: AsyncUser) -> None:
    made = await user.notebooks.create("Malaria grants", document("1 + 1"))

    assert (made.name, made.version) == ("Malaria grants", 1)
    assert (await user.notebooks.get(made.id)).sha256 == made.sha256
    assert [each.id async for each in user.notebooks.list(query="GRANT")] == [made.id]
    assert [each.id async for each in user.notebooks.list(query="nothing")] == []
    content = await user.notebooks.content(made.id)
    assert content.version == 1
    assert "".join(content.document()["cells"][0]["source"]) == "1 + 1"
    assert len((await user.notebooks.content((await user.notebooks.create("Empty")).id)).document()["cells"]) == 1


async def test_what_is_unchanged_is_not_sent_again(inset: AsyncInset, user: AsyncUser, access, name: str) -> None:
    made = await user.notebooks.create("Analysis", document("1"))
    headers = {"Authorization": f"Bearer {inset.token(name)}"}

    async with httpx.AsyncClient(base_url=access["url"], headers=headers) as http:
        for path in ("content", "preview"):
            first = await http.get(f"/v1/notebooks/{made.id}/{path}")
            again = await http.get(first.request.url, headers={"If-None-Match": first.headers["ETag"]})
            assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        assert first.headers["Content-Type"].startswith("text/html")
        assert "sandbox" in first.headers["Content-Security-Policy"]


async def test_a_session_opens_is_shown_and_closes(user: AsyncUser) -> None:
    notebook = await user.notebooks.create("Analysis", document("1"))
    opened = await user.sessions.open(notebook.id)
    assert opened.state in ("queued", "starting", "loading")

    ready = await user.sessions.wait_until_ready(opened.id)
    assert (ready.state, ready.embeddable, ready.version) == ("ready", True, 1)
    assert (await user.sessions.open(notebook.id)).id == opened.id
    assert "#ticket=" in (await user.sessions.iframe_url(opened.id)).url
    assert [each.id async for each in user.sessions.list(live=True)] == [opened.id]

    assert (await user.sessions.close(opened.id)).ending_reason == "closed"
    assert (await user.sessions.wait_until_over(opened.id)).state == "ended"
    assert [each.id async for each in user.sessions.list(live=True)] == []
    with pytest.raises(SessionOver):
        await user.sessions.iframe_url(opened.id)


async def test_what_happens_is_told_in_order_and_again(user: AsyncUser) -> None:
    notebook = await user.notebooks.create("Analysis", document("1"))
    session = await user.sessions.open(notebook.id)
    await user.sessions.wait_until_ready(session.id)
    await user.sessions.close(session.id)

    told = [event async for event in user.sessions.follow(session.id)]
    kinds = [event.kind for event in told]

    assert kinds[0] == "progress"
    assert [kind for kind in kinds if kind != "progress"] == ["ready", "ending", "ended"]
    assert [event async for event in user.sessions.follow(session.id, after=told[0].id or 0)] == told[1:]


async def test_one_key_makes_one_thing(user: AsyncUser) -> None:
    first, second = [await user.notebooks.create("Analysis", idempotency_key="mine") for _ in range(2)]

    assert first.id == second.id


async def test_someone_elses_and_nothing_are_the_same(inset: AsyncInset, user: AsyncUser) -> None:
    notebook = await user.notebooks.create("Analysis", document("1"))
    session = await user.sessions.open(notebook.id)
    other = inset.as_user("somebody else")

    for id in (notebook.id, "0" * 32):
        for call in (other.notebooks.get, other.notebooks.content, other.notebooks.preview, other.sessions.open):
            with pytest.raises(NotebookNotFound):
                await call(id)
    for id in (session.id, "0" * 32):
        for call in (other.sessions.get, other.sessions.close, other.sessions.iframe_url):
            with pytest.raises(SessionNotFound):
                await call(id)
    await user.sessions.close(session.id)


async def test_what_a_token_must_be(inset: AsyncInset, access: dict[str, Any], name: str) -> None:
    now = int(time.time())
    good = {"iss": access["issuer"], "aud": access["url"], "sub": name, "iat": now, "exp": now + 60}

    async def ask(key: str = access["key"], kid: str = access["key_id"], **claims: object) -> None:
        token = jwt.encode({**good, **claims}, key, algorithm="HS256", headers={"kid": kid})
        user = inset.as_user(name)
        user.notebooks._transport._token = token  # type: ignore[assignment]
        [each async for each in user.notebooks.list()]

    await ask()
    for wrong, problem in (
        ({"key": "another secret, of more than thirty-two bytes"}, TokenSignature),
        ({"kid": "another"}, TokenUnknownIssuer),
        ({"iss": "another"}, TokenUnknownIssuer),
        ({"aud": "https://another.example"}, TokenAudience),
        ({"iat": now - 600, "exp": now - 300}, TokenExpired),
    ):
        with pytest.raises(problem):
            await ask(**wrong)


async def test_what_is_not_allowed_or_no_notebook(inset: AsyncInset, user: AsyncUser, name: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        await inset.as_user(name, may=["run"]).notebooks.create("Analysis")
    assert caught.value.needs == "edit"
    with pytest.raises(NotANotebook):
        await user.notebooks.create("Analysis", {"cells": 1})


async def test_a_backend_acts_for_a_user(inset: AsyncInset, user: AsyncUser, name: str) -> None:
    made = await inset.acting_for(name).notebooks.create("Analysis")

    assert (await user.notebooks.get(made.id)).name == "Analysis"
