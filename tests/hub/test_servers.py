"""Starting and stopping a seat's server, without our bridge inside."""

import time

import pytest

from tests.support.real_hub import RealHub

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_stock_server_starts_and_has_no_bridge(stock_hub: RealHub):
    await stock_hub.start_server("seat-001")
    async with stock_hub.seat("seat-001", token=await stock_hub.mint_token("seat-001")) as seat:
        body = {"type": "file", "format": "text", "content": "hello"}
        assert (await seat.put("api/contents/notes.txt", json=body)).status_code == 201
        assert (await seat.post("inset/api/flush", json={})).status_code == 404
    await stock_hub.stop_server("seat-001")


async def test_a_start_is_answered_at_once(stock_hub: RealHub):
    async with stock_hub.api() as api:
        begun = time.monotonic()
        options = {"server_id": "11111111-2222", "origins": []}
        answer = await api.post("/users/seat-001/server", json={"user_options": options})
        assert answer.status_code == 202
        assert time.monotonic() - begun < 5  # by itself JupyterHub holds it for ten
    await stock_hub.stop_server("seat-001")


async def test_a_stopped_server_s_folder_is_gone(stock_hub: RealHub):
    server_id = await stock_hub.start_server("seat-001")
    folder = stock_hub.data / "seats" / "seat-001"
    assert (folder / server_id).is_dir()
    await stock_hub.stop_server("seat-001")
    assert not folder.exists()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"server_id": "../../etc", "origins": []},
        {"server_id": "11111111-2222", "origins": ["*"]},
        {"server_id": "11111111-2222", "origins": ["http://host.example; script-src *"]},
        {"server_id": "11111111-2222", "origins": "http://host.example"},
        {"server_id": "11111111-2222", "origins": [], "may": "run"},
        {"server_id": "11111111-2222", "origins": [], "may": ["run\nPATH=/tmp"]},
    ],
)
async def test_options_that_would_end_in_a_header_or_a_path_are_refused(stock_hub: RealHub, options: dict[str, object]):
    async with stock_hub.api() as api:
        answer = await api.post("/users/seat-001/server", json={"user_options": options})
        assert answer.status_code in (202, 400)
        server = (await api.get("/users/seat-001/servers/")).json()
    assert server["stopped"] or server["pending"] == "spawn"
    await stock_hub.stop_server("seat-001")
    assert not (stock_hub.data / "seats" / "seat-001").exists()


async def test_each_seat_is_an_origin_of_its_own(stock_hub: RealHub):
    await stock_hub.start_server("seat-001")
    token = await stock_hub.mint_token("seat-001")
    async with stock_hub.seat("seat-001", token=token) as seat:
        elsewhere = await seat.get("api/status", headers={"Host": stock_hub.seat_host("seat-002")})
        assert elsewhere.status_code != 200
        assert (await seat.get("api/status")).status_code == 200
    await stock_hub.stop_server("seat-001")
