"""A ticket lets a browser in, once; nothing else does, and no hub token is ever shown."""

import json
import re
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from inset_bridge.settings import Settings
from tests.singleuser.conftest import HOST_ORIGIN, SEAT, Seat
from tests.support.websocket import refused_websocket, websocket

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Browser:
    """Keeps cookies as a browser does, so that a test sees each attribute."""

    def __init__(self, seat: Seat, *, keeps_cookies: bool = True) -> None:
        self.seat = seat
        self.keeps_cookies = keeps_cookies
        self.cookies: dict[str, str] = {}

    async def request(self, method: str, path: str, *, mode: str = "cors", **options: object) -> httpx.Response:
        headers = {
            "Sec-Fetch-Mode": mode,
            "Sec-Fetch-Site": "same-origin",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        headers |= options.pop("headers", {})  # type: ignore[operator,assignment]
        answer = await self.seat.anonymous.request(method, path, headers=headers, **options)  # type: ignore[arg-type]
        self.seat.anonymous.cookies.clear()
        if self.keeps_cookies:
            for line in answer.headers.get_list("set-cookie"):
                for name, morsel in SimpleCookie(_without_partitioned(line)).items():
                    self.cookies[name] = morsel.value
        return answer

    async def enter(self, ticket: str) -> httpx.Response:
        """What the entry page's script does."""
        return await self.request("POST", "inset/enter", json={"ticket": ticket})

    async def page(self, path: str) -> httpx.Response:
        return await self.request("GET", path, mode="navigate", headers={"Sec-Fetch-Dest": "iframe"})


async def test_a_ticket_becomes_a_cookie_that_opens_page_api_and_websocket(seat: Seat):
    notebook_id, path = await seat.load("1")
    browser = Browser(seat)

    entered = await browser.enter(seat.ticket(notebook_id, path))
    assert entered.json()["next"] == f"/user/{SEAT}/notebooks/{path}"
    probe = await browser.request("GET", "inset/probe", params={"n": entered.json()["code"]})
    assert probe.status_code == 204

    page = await browser.page(f"notebooks/{path}")
    assert page.status_code == 200
    xsrf = {"X-XSRFToken": browser.cookies["_xsrf"]}
    assert (await browser.request("GET", "api/status", headers=xsrf)).status_code == 200
    assert (await browser.request("POST", "inset/api/flush", json={"path": path}, headers=xsrf)).status_code == 200
    async with websocket(seat.hub, SEAT, "api/events/subscribe", cookies=browser.cookies):
        pass


async def test_both_cookies_come_in_one_answer_and_live_in_a_partition(seat: Seat):
    entered = await Browser(seat).enter(seat.ticket(*await seat.load("1")))

    cookies = {line.split("=")[0]: line for line in entered.headers.get_list("set-cookie")}
    assert set(cookies) == {"__Host-inset", "_xsrf"}
    for cookie in cookies.values():
        assert {"Secure", "SameSite=None", "Partitioned"} <= {part.strip() for part in cookie.split(";")}
    assert "HttpOnly" in cookies["__Host-inset"]
    assert "Path=/;" in cookies["__Host-inset"] + ";"
    assert "Domain" not in cookies["__Host-inset"]
    assert "HttpOnly" not in cookies["_xsrf"], "the page has to read it"


async def test_a_second_frame_of_the_same_browser_shares_the_cookie(seat: Seat):
    browser = Browser(seat)
    first = await browser.enter(seat.ticket(*await seat.load("1")))
    cookies = dict(browser.cookies)
    second = await browser.enter(seat.ticket(*await seat.load("1")))
    assert second.status_code == 200
    assert browser.cookies["__Host-inset"] == cookies["__Host-inset"]
    assert first.headers["Clear-Site-Data"] == '"storage"'
    assert "Clear-Site-Data" not in second.headers


async def test_a_write_by_cookie_needs_the_xsrf_token_and_this_origin(seat: Seat):
    notebook_id, path = await seat.load("1")
    browser = Browser(seat)
    await browser.enter(seat.ticket(notebook_id, path))
    xsrf = {"X-XSRFToken": browser.cookies["_xsrf"]}

    assert (await browser.request("POST", "api/contents/", json={"type": "notebook"})).status_code == 403
    for origin in ("http://seat-002.nb.localhost:8000", HOST_ORIGIN, "null"):
        answer = await browser.request(
            "POST", "inset/api/flush", json={"path": path}, headers={**xsrf, "Origin": origin}
        )
        assert answer.status_code in (403, 404), origin
        await refused_websocket(seat.hub, SEAT, "api/events/subscribe", cookies=browser.cookies, origin=origin)


async def test_where_cookies_are_refused_the_page_holds_a_capability(seat: Seat):
    notebook_id, path = await seat.load("1")
    browser = Browser(seat, keeps_cookies=False)

    entered = await browser.enter(seat.ticket(notebook_id, path))
    code = entered.json()["code"]
    assert (await browser.request("GET", "inset/probe", params={"n": code})).status_code == 401
    page = await browser.page(f"notebooks/{path}?entry_code={code}")

    assert page.status_code == 200
    capability = _page_config(page.text, "token")
    assert capability.startswith("cap.")
    assert _page_config(page.text, "appendToken") == "true"
    authorized = {"Authorization": f"token {capability}"}
    assert (await browser.request("GET", "api/status", headers=authorized)).status_code == 200
    async with websocket(seat.hub, SEAT, f"api/events/subscribe?token={capability}"):
        pass


async def test_a_code_opens_one_page_once(seat: Seat):
    notebook_id, path = await seat.load("1")
    browser = Browser(seat, keeps_cookies=False)
    code = (await browser.enter(seat.ticket(notebook_id, path))).json()["code"]

    assert (await browser.page(f"notebooks/{path}?entry_code={code}")).status_code == 200
    again = await browser.page(f"notebooks/{path}?entry_code={code}")
    assert again.status_code == 401
    assert 'fail("ticket-used")' in again.text


async def test_a_code_is_void_once_the_cookie_came_back(seat: Seat):
    notebook_id, path = await seat.load("1")
    browser = Browser(seat)
    code = (await browser.enter(seat.ticket(notebook_id, path))).json()["code"]
    await browser.request("GET", "inset/probe", params={"n": code})
    stranger = Browser(seat)
    assert (await stranger.page(f"notebooks/{path}?entry_code={code}")).status_code == 401


async def test_the_page_in_cookie_mode_holds_no_token_and_knows_its_host(seat: Seat):
    notebook_id, path = await seat.load("1")
    browser = Browser(seat)
    await browser.enter(seat.ticket(notebook_id, path))
    for page in (f"notebooks/{path}", "lab", "tree"):
        text = (await browser.page(page)).text
        assert _page_config(text, "token") == ""
        assert _page_config(text, "appendToken") == "false"
        assert _page_config(text, "insetOrigins") == f'[\\"{HOST_ORIGIN}\\"]'
        assert _page_config(text, "insetApi") == f"/user/{SEAT}/inset/api/"
        assert _page_config(text, "hubPrefix") == ""


async def test_a_used_ticket_is_refused(seat: Seat):
    ticket = seat.ticket(*await seat.load("1"))
    assert (await Browser(seat).enter(ticket)).status_code == 200
    again = await Browser(seat).enter(ticket)
    assert (again.status_code, again.json()["code"]) == (403, "ticket-used")
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize("reason", ["ticket-expired", "ticket-invalid", "session-over"])
async def test_the_service_s_reason_reaches_the_page(seat: Seat, reason: str):
    answer = await Browser(seat).enter(seat.ticket(*await seat.load("1"), problem=reason))
    assert (answer.status_code, answer.json()["code"]) == (403, reason)


async def test_a_ticket_for_another_server_is_refused(seat: Seat):
    answer = await Browser(seat).enter(seat.ticket(*await seat.load("1"), server_id="another-server"))
    assert answer.json()["code"] == "ticket-for-another-server"


async def test_a_ticket_that_leads_elsewhere_is_refused(seat: Seat):
    answer = await Browser(seat).enter(seat.ticket(*await seat.load("1"), next="//evil.example/"))
    assert answer.json()["code"] == "service-unavailable"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("ticket", ["", "a b", "x" * 5000, None, {"a": 1}])
async def test_nonsense_never_reaches_the_service(seat: Seat, ticket: object):
    redeemed = seat.service.calls.count("redeem")
    answer = await Browser(seat).request("POST", "inset/enter", json={"ticket": ticket})
    assert answer.json()["code"] == "ticket-invalid"
    assert seat.service.calls.count("redeem") == redeemed


async def test_a_service_that_is_down_is_said_so(seat: Seat):
    ticket = seat.ticket(*await seat.load("1"))
    seat.service.down = True
    try:
        answer = await Browser(seat).enter(ticket)
    finally:
        seat.service.down = False
    assert (answer.status_code, answer.json()["code"]) == (503, "service-unavailable")


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-site"}, {"Origin": "http://seat-002.nb.localhost:8000"}])
async def test_another_page_can_not_enter_for_its_visitor(seat: Seat, headers: dict[str, str]):
    ticket = seat.ticket(*await seat.load("1"))
    answer = await Browser(seat).request("POST", "inset/enter", json={"ticket": ticket}, headers=headers)
    assert answer.status_code == 403
    assert not seat.service.tickets[ticket].used


async def test_the_entry_page_takes_the_ticket_out_of_the_address_and_can_become_the_notebooks(seat: Seat):
    page = await Browser(seat).page("inset/enter")
    assert page.status_code == 200
    assert "history.replaceState" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "set-cookie" not in page.headers
    # What it is to become has these; nothing of anybody's is in it before.
    opened = await seat.http.get("notebooks/any.ipynb")
    assert page.headers["Content-Security-Policy"] == opened.headers["Content-Security-Policy"]
    told = _config(page.text)
    assert set(told) == {"fullStaticUrl", "disabledExtensions", "deferredExtensions"}
    assert {name: _config(opened.text).get(name, []) for name in told} == told


async def test_a_page_that_says_why_it_is_closed_runs_only_its_own_script(seat: Seat):
    page = await Browser(seat).page("notebooks/any.ipynb")
    nonce = re.search(r"script-src 'nonce-([^']+)'", page.headers["Content-Security-Policy"])
    assert nonce is not None
    assert f'<script nonce="{nonce[1]}" id="entry">' in page.text
    assert "unsafe" not in page.headers["Content-Security-Policy"]


async def test_without_a_ticket_every_page_says_that_the_session_is_over(seat: Seat):
    _, path = await seat.load("1")
    stranger = Browser(seat)
    for page in (f"notebooks/{path}", "lab", "tree", f"files/{path}", "logout", f"nbconvert/html/{path}"):
        answer = await stranger.page(page)
        assert answer.status_code == 401, page
        assert 'fail("session-over")' in answer.text
        assert f'const origins = ["{HOST_ORIGIN}"]' in answer.text
        assert "location" not in answer.headers
    for api in ("api/status", "api/contents/", "api/kernels"):
        assert (await stranger.request("GET", api)).status_code == 403
    for path in ("login", "oauth_callback"):
        assert (await stranger.page(path)).status_code == 404


async def test_a_hub_token_in_an_address_means_nothing(seat: Seat):
    stranger = Browser(seat)
    for path in ("lab", "api/status"):
        answer = await stranger.page(f"{path}?token={seat.token}")
        assert answer.status_code in (401, 403)
        assert "__Host-inset" not in str(answer.headers.get_list("set-cookie"))
    await refused_websocket(seat.hub, SEAT, f"api/events/subscribe?token={seat.token}")


async def test_a_cookie_of_an_earlier_server_opens_nothing(seat: Seat):
    stranger = Browser(seat)
    stranger.cookies["__Host-inset"] = "what-an-earlier-user-of-this-seat-had"
    assert (await stranger.page("lab")).status_code == 401
    entered = await stranger.enter(seat.ticket(*await seat.load("1")))
    assert entered.headers["Clear-Site-Data"] == '"storage"'
    assert (await stranger.page("lab")).status_code == 200


async def test_no_hub_token_is_in_any_page_cookie_or_log(seat: Seat):
    notebook_id, path = await seat.load("1")
    seen = []
    for browser in (Browser(seat), Browser(seat, keeps_cookies=False)):
        entered = await browser.enter(seat.ticket(notebook_id, path))
        code = "" if browser.keeps_cookies else entered.json()["code"]
        pages = [f"notebooks/{path}", "lab", "tree", "nothing-here", f"files/{path}", "api/me", "inset/enter", "logout"]
        answers = [entered]
        for page in pages:
            answers.append(await browser.page(f"{page}?entry_code={code}"))
            answers.append(await browser.request("GET", page))
        seen += [answer.text + str(answer.headers) for answer in answers]
    await Browser(seat).page(f"lab?token={seat.token}")

    own_token = next(iter(seat.service.hub_tokens))
    for secret in {seat.hub.token, seat.token, own_token}:
        assert len(secret) > 20
        assert not [text for text in seen if secret in text]
        assert secret not in seat.hub.log()
    for ticket in seat.service.tickets:
        assert ticket not in seat.hub.log()


def _config(html: str) -> dict[str, Any]:
    found = re.search(r'<script id="jupyter-config-data" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    config: dict[str, Any] = json.loads(found[1])
    return config


def _page_config(html: str, name: str) -> str:
    found = re.search(rf'"{name}": "((?:[^"\\]|\\.)*)"', html)
    assert found is not None, f"{name} is not in the page's configuration"
    return found[1]


def _without_partitioned(cookie: str) -> str:
    # Python's own parser knows the attribute from 3.14 on.
    return cookie.replace("; Partitioned", "")


async def test_only_behind_an_edge_an_entry_needs_cookies(seat: Seat):
    entered = await Browser(seat, keeps_cookies=False).enter(seat.ticket(*await seat.load("1")))

    assert entered.json()["needs_cookies"] is False
    env = {"INSET_SERVICE_URL": "http://x", "JUPYTERHUB_SERVICE_PREFIX": "/user/x/", "JUPYTERHUB_API_TOKEN": "x"}
    assert not Settings.from_env({**env, "INSET_EDGE": ""}).behind_edge
    assert Settings.from_env({**env, "INSET_EDGE": "1"}).behind_edge
