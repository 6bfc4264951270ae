"""What Inset relies on in a hub and its servers, asked of our fake and of a real JupyterHub alike."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from inset.documents import empty_document
from inset.errors import HubBusy, ServerGone, UnknownServer
from inset.hub import SpawnFailed
from inset.models import Server, ServerState
from inset.servers import has_own_origin

SEAT = "seat-001"
ORIGINS = ["http://localhost:8090"]
WISHES = {"origins": ORIGINS, "may": ["edit", "run"], "data_policy": "open", "profile": "default"}


async def test_a_server_lives_through_start_use_and_stop(hub):
    # One long story, since a real hub takes seconds to come up.
    client = hub.client
    assert await client.accepts_token()
    assert await client.server(SEAT) is None
    assert SEAT not in await client.servers()
    # A seat's address is told before it ever ran; no seat has none.
    assert has_own_origin(SEAT, await client.public_url(SEAT) or "")
    assert await client.public_url("seat-999") is None
    # A hub without containers has none that it has forgotten.
    assert await client.leftover(SEAT) is None

    # Start: accepted at once, and harmless to ask for again.
    assert await client.start(SEAT, server_id="server-0001", **WISHES)
    assert await client.start(SEAT, server_id="server-0001", **WISHES)
    steps = [step async for step in client.progress(SEAT)]
    assert steps[-1].outcome == "ready"
    assert has_own_origin(SEAT, steps[-1].full_url or "")
    assert [step.percent for step in steps] == sorted(step.percent for step in steps)

    # Running: the hub gives back who it is for; asked again it tells "running", to the right one only.
    server = await client.server(SEAT)
    assert (server.ready, server.pending, server.server_id) == (True, None, "server-0001")
    assert server.full_url == steps[-1].full_url
    assert (await client.servers())[SEAT].model_copy(update={"last_activity": server.last_activity}) == server
    assert server.full_url.startswith("http://seat-001.nb.localhost")
    assert server.full_url.endswith("/user/seat-001/")
    assert await client.start(SEAT, server_id="server-0001", **WISHES)
    assert not await client.start(SEAT, server_id="server-else", **WISHES)
    assert [step.outcome async for step in client.progress(SEAT)][-1] == "ready"

    # A minted token is this server's, and tells so; ours is no server's.
    token = await client.mint(SEAT, lifetime=timedelta(minutes=5), note="contract")
    assert await client.seat_of(token) == SEAT
    for stranger in (hub.token, "nonsense"):
        with pytest.raises(UnknownServer):
            await client.seat_of(stranger)

    # Load and read, byte for byte, over the contents API.
    row = Server(host_id="demo", owner="ada", seat=SEAT, state=ServerState.RUNNING, url=server.full_url)
    notebook_server = hub.servers.dial(row)
    document = empty_document()
    path = "work/0123456789abcdef/Größe-1.ipynb"
    await notebook_server.load("0123456789abcdef", path=path, version=1, document=document, origins=ORIGINS)
    assert await notebook_server.read(path) == document.content
    await notebook_server.close_kernels(path)
    assert await notebook_server.read("work/nothing.ipynb") is None

    # What was minted can be taken back, one session's alone or all: a seat outlives its server.
    noted = await client.mint(SEAT, lifetime=timedelta(minutes=5), note="of a session")
    await client.revoke_tokens(SEAT, note="of a session")
    with pytest.raises(UnknownServer):
        await client.seat_of(noted)
    assert await client.seat_of(token) == SEAT
    await client.revoke_tokens(SEAT)
    with pytest.raises(UnknownServer):
        await client.seat_of(token)

    # Stop: harmless to ask for again; afterwards there is nothing, and nobody answers.
    await client.stop(SEAT)
    async with asyncio.timeout(30):
        while await client.server(SEAT):
            await asyncio.sleep(0.05)
    assert await client.stop(SEAT)
    assert [step async for step in client.progress(SEAT)] == []
    with pytest.raises(ServerGone):
        await notebook_server.read(path)
    # The seat serves again, and nothing of its last user is left in it.
    assert await client.start(SEAT, server_id="server-0002", **WISHES)
    assert [step.outcome async for step in client.progress(SEAT)][-1] == "ready"
    assert await hub.servers.dial(row).read(path) is None
    await client.stop(SEAT)

    # A seat that does not exist is no seat, and no answer is given to anybody else.
    assert await client.server("seat-999") is None
    with pytest.raises(SpawnFailed):
        await client.start("seat-999", server_id="server-0001", **WISHES)
    async with httpx.AsyncClient() as anonymous:
        for path in (f"/users/{SEAT}", "/user", f"/users/{SEAT}/server/progress"):
            answer = await anonymous.get(hub.api_url + path, headers={"Authorization": "token nonsense"})
            assert answer.status_code == 403


async def test_a_spawn_that_fails_is_told_and_leaves_nothing(failing_hub):
    client = failing_hub.client

    assert await client.start(SEAT, server_id="server-0001", **WISHES)
    outcomes = [step.outcome async for step in client.progress(SEAT)]

    assert outcomes[-1] == "failed"
    async with asyncio.timeout(10):
        while await client.server(SEAT):
            await asyncio.sleep(0.05)
    # The seat can be tried again.
    assert await client.start(SEAT, server_id="server-0002", **WISHES)


async def test_a_policy_that_the_spawner_can_not_keep_to_is_refused_in_its_own_word(insecure_hub):
    client = insecure_hub.client
    reasons = []

    # The hub answers before its spawner has refused, or after: either way the reason comes.
    try:
        started = await client.start(SEAT, server_id="server-0001", **{**WISHES, "data_policy": "restricted"})
        assert started
        reasons = [step.reason async for step in client.progress(SEAT)]
    except SpawnFailed as exc:
        reasons = [exc.reason]

    assert reasons[-1] == "policy-not-enforceable"
    async with asyncio.timeout(20):
        while await client.server(SEAT):
            await asyncio.sleep(0.05)


async def test_a_server_that_dies_is_noticed_by_the_hub_within_seconds(hub):
    client = hub.client
    await client.start(SEAT, server_id="server-0001", **WISHES)
    assert [step.outcome async for step in client.progress(SEAT)][-1] == "ready"

    hub.kill_server()

    async with asyncio.timeout(15):
        while await client.server(SEAT):
            await asyncio.sleep(0.1)


async def test_at_its_limits_a_hub_refuses_a_start_and_takes_it_on_when_there_is_room(full_hub):
    hub, client = full_hub.hub, full_hub.hub.client
    seats = ["seat-001", "seat-002", "seat-003"]
    wishes = {seat: {**WISHES, "server_id": f"server-{uuid4().hex}"} for seat in seats}

    async def refusal(seat: str) -> httpx.Response:
        with pytest.raises(HubBusy):
            await client.start(seat, **wishes[seat])
        headers = {"Authorization": f"token {hub.token}"}
        body = {"user_options": {**wishes[seat], "profile": "default", "environment": {}}}
        async with httpx.AsyncClient(headers=headers) as http:
            return await http.post(f"{hub.api_url}/users/{seat}/server", json=body)

    # One starts: another one may not, and is told for how long people are to be patient.
    assert await client.start("seat-001", **wishes["seat-001"])
    refused = await refusal("seat-002")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 30
    assert await client.server("seat-002") is None
    # To ask for what is under way is harmless then, too.
    assert await client.start("seat-001", **wishes["seat-001"])

    full_hub.finish_spawning()
    assert [step.outcome async for step in client.progress("seat-001")][-1] == "ready"
    assert await client.start("seat-002", **wishes["seat-002"])
    assert [step.outcome async for step in client.progress("seat-002")][-1] == "ready"

    # Two run: a third may not, and nobody knows for how long.
    refused = await refusal("seat-003")
    assert refused.status_code == 429
    assert "Retry-After" not in refused.headers
    assert await client.start("seat-002", **wishes["seat-002"])

    await client.stop("seat-001")
    async with asyncio.timeout(60):
        while await client.server("seat-001"):
            await asyncio.sleep(0.05)
    assert await client.start("seat-003", **wishes["seat-003"])
    await client.stop("seat-003")
