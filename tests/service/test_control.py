"""What a save bridge is told of its server's sessions, through any replica."""

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from jose import jwt

from inset.db import open_database
from inset.hosts import apply_hosts, remove_host
from inset.models import Version
from inset.versions import read_document
from tests.service.conftest import document, events, problem, running_service, until
from tests.support.hosts import write_hosts_file

REDEEM = "/bridge/v1/tickets/redeem"
ORIGINS = ["http://localhost:8090"]


class Stream:
    """A control stream, read event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self) -> tuple[str, dict[str, Any]] | None:
        """Wait for the next event; None when the stream has ended."""
        event = ""
        async with asyncio.timeout(15):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    return event, json.loads(value)
        return None


@asynccontextmanager
async def control(client: httpx.AsyncClient, credential: dict[str, str]) -> AsyncIterator[Stream]:
    async with client.stream("GET", "/bridge/v1/control", headers=credential) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield Stream(answer)


async def test_a_stream_begins_with_who_may_have_a_frame_and_tells_who_no_longer_may(client, hub, ready_session):
    first, second = await ready_session(), await ready_session()

    async with control(client, await hub.credential()) as stream:
        event, data = await stream.next()
        assert (event, set(data["session_ids"])) == ("sessions", {first["id"], second["id"]})
        assert data["origins"] == ORIGINS

        begun = time.monotonic()
        await client.delete(f"/v1/sessions/{first['id']}")

        event, data = await stream.next()
        assert (event, data["session_id"], data["reason"]) == ("over", first["id"], "closed")
        # Time for its page's edits.
        assert 4 - (time.monotonic() - begun) <= data["within"] <= 4


async def test_an_end_at_one_replica_is_told_by_a_stream_of_another_within_a_second(settings, hub, host):
    async with (
        running_service(settings, hub, **host.bearer()) as one,
        running_service(settings, hub, **host.bearer()) as two,
    ):
        notebook = (await one.post("/v1/notebooks", json={"name": "N"})).json()
        session = (await one.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
        await until(one, session["id"], "ready")
        async with control(two, await hub.credential()) as stream:
            await stream.next()
            begun = time.monotonic()

            await one.delete(f"/v1/sessions/{session['id']}")

            assert (await stream.next())[1]["session_id"] == session["id"]
            assert time.monotonic() - begun < 1


async def test_a_host_that_is_turned_away_has_its_frames_cut_at_once(
    client, settings, hub, new_notebook, ready_session
):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    hub.server().files[path] = json.dumps(document("saved"))
    hub.server().page_edits[path] = json.dumps(document("not wanted any more"))
    server = hub.server()
    async with control(client, await hub.credential()) as stream:
        await stream.next()

        async with open_database(settings.database_url) as database:
            await remove_host(database, "demo")

        over = {"session_id": session["id"], "reason": "revoked", "within": 0.0}
        assert await stream.next() == ("over", over)
        assert await stream.next() is None
    # The page was not asked; what is on the server's disk is saved all the same.
    assert server.page_edits
    assert await _saved(settings, notebook["id"]) == document("saved")


async def _saved(settings, notebook_id: str):
    """Wait for a notebook's second version."""
    async with open_database(settings.database_url) as database, asyncio.timeout(20):
        while True:
            async with database.transaction(read_only=True) as db:
                if version := await db.get(Version, (notebook_id, 2)):
                    return json.loads((await read_document(db, version)).content)
            await asyncio.sleep(0.05)


@pytest.mark.each_database
async def test_a_host_whose_pages_move_has_its_servers_told_within_five_seconds(
    client, settings, hub, host, ready_session, tmp_path
):
    session, moved = await ready_session(), dataclasses.replace(host, origins=("https://new.example",))
    credential = await hub.credential()
    async with control(client, credential) as stream:
        await stream.next()
        begun = time.monotonic()

        async with open_database(settings.database_url) as database:
            await apply_hosts(database, write_hosts_file(tmp_path / "moved.toml", moved))

        # What it was told is true no longer: it asks anew.
        assert await stream.next() is None
    async with control(client, credential) as stream:
        standing = {"session_ids": [session["id"]], "origins": ["https://new.example"]}
        assert await stream.next() == ("sessions", standing)
    assert time.monotonic() - begun < 5


async def test_other_servers_are_not_told(client, anonymous, hub, host, ready_session, new_notebook):
    session = await ready_session()
    anonymous.headers.update(host.bearer("grace"))
    hers = await ready_session(await new_notebook())

    async with control(client, await hub.credential("seat-002")) as stream:
        assert await stream.next() == ("sessions", {"session_ids": [hers["id"]], "origins": ORIGINS})
        await client.delete(f"/v1/sessions/{session['id']}", headers=host.bearer("ada"))
        await until_over(client, session["id"], host.bearer("ada"))
        await client.delete(f"/v1/sessions/{hers['id']}")

        assert (await stream.next())[1]["session_id"] == hers["id"]


async def test_who_was_away_is_told_of_who_is_left(client, hub, ready_session):
    gone, kept = await ready_session(), await ready_session()
    await client.delete(f"/v1/sessions/{gone['id']}")
    await until(client, gone["id"], "ended")

    async with control(client, await hub.credential()) as stream:
        assert await stream.next() == ("sessions", {"session_ids": [kept["id"]], "origins": ORIGINS})


async def test_a_session_that_is_just_being_saved_keeps_its_frames_and_is_told_when_they_go(client, hub, ready_session):
    session = await ready_session()
    hub.server().deaf = True  # its last save takes time
    credential = await hub.credential()
    await client.delete(f"/v1/sessions/{session['id']}")

    async with control(client, credential) as stream:
        assert await stream.next() == ("sessions", {"session_ids": [session["id"]], "origins": ORIGINS})
        event, data = await stream.next()

    assert (event, data["session_id"], data["reason"]) == ("over", session["id"], "closed")
    assert data["within"] <= 4


async def test_a_stream_ends_before_its_credential_does(settings, hub, host, monkeypatch):
    monkeypatch.setattr("inset.routes.bridge._RENEWED_BEFORE", timedelta(seconds=8))
    brief = settings.model_copy(update={"credential_lifetime": timedelta(seconds=10)})
    async with running_service(brief, hub, **host.bearer()) as client:
        notebook = (await client.post("/v1/notebooks", json={"name": "N"})).json()
        session = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
        await until(client, session["id"], "ready")
        credential = await hub.credential()
        ends = jwt.get_unverified_claims(credential["Authorization"].partition(" ")[2])["exp"]

        async with control(client, credential) as stream:
            await stream.next()
            assert await stream.next() is None

        assert time.time() < ends


@pytest.mark.each_database
async def test_a_stream_ends_with_its_server(client, hub, ready_session):
    session = await ready_session()
    async with control(client, await hub.credential()) as stream:
        await stream.next()
        await client.delete(f"/v1/sessions/{session['id']}")
        await stream.next()

        assert await stream.next() is None


async def test_nobody_but_a_bridge_is_told_anything(client, host, ready_session):
    await ready_session()

    for headers in ({"Authorization": ""}, host.bearer(), {"Authorization": "Bearer x"}):
        assert problem(await client.get("/bridge/v1/control", headers=headers)) == "unknown-server"


async def test_what_opened_a_sessions_frames_is_deleted_at_the_hub_when_it_ends(client, anonymous, hub, ready_session):
    ended, other = await ready_session(), await ready_session()
    tokens = {}
    for session in (ended, other):
        url = (await client.post(f"/v1/sessions/{session['id']}/iframe-url")).json()["url"]
        ticket = {"ticket": url.partition("#ticket=")[2]}
        entry = await anonymous.post(REDEEM, json=ticket, headers=await hub.credential())
        tokens[session["id"]] = entry.json()["hub_token"]

    await client.delete(f"/v1/sessions/{ended['id']}")
    await until(client, ended["id"], "ended")

    assert tokens[ended["id"]] not in hub.tokens
    assert tokens[other["id"]] in hub.tokens


async def test_a_hosts_event_stream_ends_with_its_token_and_is_resumed_with_the_next(client, host, ready_session):
    session = await ready_session()
    last_words = int(time.time()) - 25  # clocks may differ by 30 s

    async with asyncio.timeout(20):
        headers = host.bearer(exp=last_words)
        heard = [event async for event in events(client, session["id"], headers=headers)]

    assert heard[-1][0] == "ready"
    await client.delete(f"/v1/sessions/{session['id']}")
    rest = [kind async for kind, _ in events(client, session["id"], after=heard[-1][1]["id"])]
    assert rest == ["ending", "ended"]


async def until_over(client: httpx.AsyncClient, session_id: str, headers: dict[str, str]) -> None:
    async with asyncio.timeout(10):
        while (await client.get(f"/v1/sessions/{session_id}", headers=headers)).json()["state"] != "ended":
            await asyncio.sleep(0.05)
