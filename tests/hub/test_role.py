"""What the service's token can do, and everything it can't."""

from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.real_hub import RealHub

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORBIDDEN = [
    ("POST", "/users", {"usernames": ["eve"]}),
    ("POST", "/users/eve", None),
    ("GET", "/users/eve", None),
    ("DELETE", "/users/seat-001", None),
    ("PATCH", "/users/seat-001", {"admin": True}),
    ("POST", "/users/seat-001/activity", {"servers": {}}),
    ("POST", "/users/eve/server", None),
    ("POST", "/users/eve/tokens", {"scopes": [], "expires_in": 60}),
    ("GET", "/groups", None),
    ("GET", "/groups/seats", None),
    ("POST", "/groups/other", None),
    ("POST", "/groups/seats/users", {"users": ["eve"]}),
    ("DELETE", "/groups/seats", None),
    ("GET", "/services", None),
    ("GET", "/services/inset", None),
    ("GET", "/proxy", None),
    ("POST", "/proxy", None),
    ("PATCH", "/proxy", {"auth_token": "x"}),
    ("GET", "/info", None),
    ("POST", "/shutdown", {}),
    ("GET", "/shares/seat-001", None),
    ("POST", "/shares/seat-001/", {}),
    ("GET", "/users/seat-001/shared", None),
]


@pytest.mark.parametrize(("method", "path", "body"), FORBIDDEN, ids=[f"{m} {p}" for m, p, _ in FORBIDDEN])
async def test_the_service_s_token_can_not(stock_hub: RealHub, method: str, path: str, body: object):
    async with stock_hub.api() as api:
        answer = await api.request(method, path, json=body)
    assert answer.status_code in (403, 404), answer.text
    # 404 alone would prove nothing of a path that does not exist.
    assert answer.headers["content-type"] == "application/json"


async def test_it_lists_its_seats_with_their_servers_and_nothing_else_of_them(stock_hub: RealHub):
    async with stock_hub.api() as api:
        users = (await api.get("/users")).json()
    assert all(user["name"].startswith("seat-") for user in users)
    assert {key for user in users for key in user} == {"kind", "name", "admin", "servers", "user_info"}
    # The hub knows nothing of anybody, since nobody logs in.
    assert {user["user_info"] for user in users} == {None}


async def test_it_can_start_look_mint_for_and_stop_a_seat(stock_hub: RealHub):
    await stock_hub.start_server("seat-001")
    token = await stock_hub.mint_token("seat-001")
    async with stock_hub.seat("seat-001", token=token) as seat:
        assert (await seat.get("api/contents/")).status_code == 200
    await stock_hub.stop_server("seat-001")


async def test_it_can_not_look_into_a_server_without_minting(stock_hub: RealHub):
    await stock_hub.start_server("seat-002")
    async with stock_hub.seat("seat-002", token=stock_hub.token) as seat:
        for path in ("api/contents/", "api/status", "api/kernels"):
            assert (await seat.get(path)).status_code == 403, path
        assert (await seat.put("api/contents/new.txt", json={"type": "file"})).status_code == 403
    await stock_hub.stop_server("seat-002")


async def test_what_it_mints_opens_one_server_and_nothing_else(stock_hub: RealHub):
    for seat in ("seat-001", "seat-002"):
        await stock_hub.start_server(seat)
    token = await stock_hub.mint_token("seat-001")

    async with stock_hub.seat("seat-002", token=token) as other:
        assert (await other.get("api/contents/")).status_code == 403
    async with stock_hub.api(token) as api:
        assert await _statuses(api, FORBIDDEN) <= {403, 404}
        assert (await api.get("/users")).status_code == 403
        for method, path, body in (
            ("DELETE", "/users/seat-001/server", None),
            ("POST", "/users/seat-002/server", {}),
            ("POST", "/users/seat-001/tokens", {"scopes": ["access:servers!server=seat-001/"], "expires_in": 60}),
            ("GET", "/users/seat-001/tokens", None),
        ):
            assert (await api.request(method, path, json=body)).status_code in (403, 404), path
    for seat in ("seat-001", "seat-002"):
        await stock_hub.stop_server(seat)


async def test_it_can_not_mint_more_than_a_seat_may(stock_hub: RealHub):
    async with stock_hub.api() as api:
        for scopes in (["admin:users"], ["servers!user=seat-001"], ["tokens!user=seat-001"], ["self"]):
            answer = await api.post("/users/seat-001/tokens", json={"scopes": scopes, "expires_in": 60})
            granted = answer.json().get("scopes", []) if answer.status_code == 201 else []
            assert not [
                one for one in granted if not one.startswith(("access:servers", "users:activity", "read:users"))
            ]


@pytest.mark.parametrize(
    "page", ["", "hub/", "hub/login", "hub/home", "hub/spawn", "hub/token", "hub/admin", "hub/signup"]
)
async def test_nobody_can_log_in(stock_hub: RealHub, page: str):
    async with httpx.AsyncClient(headers={"Host": stock_hub.public_url.removeprefix("http://")}) as browser:
        answer = await browser.get(f"{stock_hub.bind_url}/{page}")
        while answer.is_redirect:
            # By path: Python does not resolve the public name.
            answer = await browser.get(stock_hub.bind_url + urlsplit(answer.headers["location"]).path)
    assert answer.status_code in (403, 404)
    assert "<form" not in answer.text


async def _statuses(api: httpx.AsyncClient, calls: list[tuple[str, str, dict[str, object] | None]]) -> set[int]:
    return {(await api.request(method, path, json=body)).status_code for method, path, body in calls}
