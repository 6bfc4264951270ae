"""What a server's own user can do once his code has changed it, and what of that the edge lets through.

`tampered` is the worst such server: it answers everything, to everybody. What it was asked came through.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.edge.conftest import EdgeStack, enter, in_chromium
from tests.security.conftest import embed, host_page
from tests.support.edge import DOMAIN, SERVICE_NAME, TOKEN, Answer, Edge, ask_plainly, edge
from tests.support.notebook_page import run_in_last_cell
from tests.support.real_hub import free_ports
from tests.support.serving import served
from tests.support.site import Site

pytestmark = pytest.mark.timeout(300)

NO_DOWNLOAD = ("edit", "run", "terminals")


@dataclass(frozen=True)
class Tampered:
    """A server that does what its user's code wants, behind an edge of its own."""

    front: Edge
    port: int

    async def without_edge(self, target: str) -> Answer:
        return await ask_plainly(self.port, target, {"Host": "x"})


@pytest.fixture(scope="module")
def tampered_front(stack: EdgeStack, in_front: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tampered]:
    """Its public port differs from the stack's, so `tampered` says the stack's in `Host`."""
    port, rogue = free_ports(2)
    folder: Path = tmp_path_factory.mktemp("tampered") / "edge"
    service = f"127.0.0.1:{stack.ports.service}"
    with edge(folder, port=port, hub_proxy=f"127.0.0.1:{rogue}", service=service) as front:
        yield Tampered(Edge(front.port, front.folder, public_port=stack.edge_port), rogue)


@pytest.fixture
async def tampered(tampered_front: Tampered) -> AsyncIterator[Tampered]:
    async def everything(request: Request) -> JSONResponse:
        line = request.scope["raw_path"].decode("latin-1")
        return JSONResponse({"leaked": line, "method": request.method, "headers": dict(request.headers)})

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    async with served(Starlette(routes=[Route("/{path:path}", everything, methods=methods)]), tampered_front.port):
        yield tampered_front


@pytest.mark.browser
async def test_the_servers_own_token_opens_it_at_the_proxy_and_nothing_at_the_edge(
    site: Site, stack: EdgeStack, in_front: Edge, new_notebook, tmp_path: Path
):
    async with in_chromium(tmp_path, in_front) as browser:
        frame = await embed(await host_page(browser, site), "mallory", await new_notebook("mallory"))
        await run_in_last_cell(frame, 'import os; print(os.environ["JUPYTERHUB_API_TOKEN"])')
        output = frame.locator(".jp-OutputArea-output")
        await expect(output.first).to_be_visible(timeout=60_000)
        token = ((await output.first.text_content()) or "").strip()
        host, prefix = await frame.evaluate("[location.hostname, location.pathname.replace(/notebooks.*/, '')]")
    assert len(token) > 20
    authorized = {"Host": f"{host}:{stack.edge_port}", "Authorization": f"token {token}"}

    at_the_proxy = await ask_plainly(stack.ports.hub, f"{prefix}api/contents", authorized)
    at_the_edge = await in_front.ask(host, f"{prefix}api/contents", headers={"Authorization": f"token {token}"})

    assert (at_the_proxy.status, json.loads(at_the_proxy.body)["type"]) == (200, "directory")
    assert at_the_edge.status == 403
    for query in (f"token={token}", f"%74oken={token}", f"a=1&token={token}"):
        assert (await in_front.ask(host, f"{prefix}api/contents?{query}")).by_edge


async def test_no_token_reaches_a_server_and_cookies_do(site: Site, in_front: Edge, tampered: Tampered):
    entered = await enter(site, in_front, "ada")
    sent = {**entered.headers, "authorization": "token x", "Origin": "https://a.example", "Inset-Edge-Token": "guess"}

    answer = await tampered.front.ask(entered.host, f"{entered.prefix}api", headers=sent)

    came = json.loads(answer.body)["headers"]
    assert (answer.status, came["host"]) == (200, f"{entered.host}:{in_front.port}")
    assert "authorization" not in came
    assert "__Host-inset=" in came["cookie"]
    assert (came["x-xsrftoken"], came["origin"]) == (entered.headers["X-XSRFToken"], "https://a.example")


@pytest.mark.parametrize(
    "path",
    [
        "files/data.csv",
        "files/work/{own}/Plan.ipynb",
        "nbconvert/html/work/{own}/Plan.ipynb",
        "api/contents/data.csv",
        "api/contents/work/{own}/data.csv",
        "view/data.html",
        "proxy/8000/data.csv",
        "static/%2e%2e/files/data.csv",
        "static/..%2ffiles/data.csv",
        "static/..%5cfiles/data.csv",
        "static/%252e%252e/files/data.csv",
        "static//files/data.csv",
        "static/a;/../files/data.csv",
        "static/./files/data.csv",
        "static/../files/data.csv",
        "Files/data.csv",
        "fil%65s/data.csv",
        "files%2fdata.csv",
        "api/contents/work/{own}%2f..%2fdata.csv",
        "api/contents/work/{own}/%2e%2e/%2e%2e/data.csv",
        "api/contents/work/{own}/data.csv%3f.ipynb",
        "api/contents/work/{own}/../data.ipynb",
    ],
)
async def test_who_may_not_download_gets_no_file_of_a_tampered_server(
    site: Site, in_front: Edge, tampered: Tampered, path: str
):
    held = await enter(site, in_front, "heidi", may=NO_DOWNLOAD)
    target = held.prefix + path.format(own=held.notebook_id)

    without = await tampered.without_edge(target)
    within = await tampered.front.ask(held.host, target, headers=held.headers)
    page = await tampered.front.ask(
        held.host, f"{held.prefix}notebooks/work/{held.notebook_id}/Plan.ipynb", headers=held.headers
    )

    assert (without.status, json.loads(without.body)["leaked"]) == (200, target)
    assert within.by_edge
    assert page.status == 200


async def test_who_may_download_gets_his_files(site: Site, in_front: Edge, tampered: Tampered):
    ada = await enter(site, in_front, "ada")

    for path in ("files/data.csv", "nbconvert/html/a.ipynb", "proxy/8000/a%2Fb;c"):
        answer = await tampered.front.ask(ada.host, ada.prefix + path, headers=ada.headers)
        assert (answer.status, json.loads(answer.body)["leaked"]) == (200, ada.prefix + path)


@pytest.mark.parametrize(
    ("missing", "method", "path"),
    [
        ("run", "POST", "api/kernels"),
        ("run", "GET", "api/kernels/694008fe-5a43-463f-8e78-38cec0b55261/channels"),
        ("run", "GET", "terminals/websocket/1"),
        ("edit", "PUT", "api/contents/work/{own}/Plan.ipynb"),
        ("edit", "DELETE", "api/contents/work/{own}/Plan.ipynb"),
        ("terminals", "POST", "api/terminals"),
        ("terminals", "GET", "terminals/websocket/1"),
    ],
)
async def test_what_else_a_user_may_not_do_reaches_no_server(
    site: Site, in_front: Edge, tampered: Tampered, missing: str, method: str, path: str
):
    may = [one for one in ("edit", "run", "download", "terminals") if one != missing]
    held, free = await enter(site, in_front, f"no-{missing}", may=may), await enter(site, in_front, "ada")

    async def ask(who):
        target = who.prefix + path.format(own=who.notebook_id)
        return await tampered.front.ask(who.host, target, method=method, headers=who.headers)

    assert (await ask(held)).by_edge
    assert (await ask(free)).status == 200


@pytest.mark.parametrize(
    "path", ["/hub/home", "/hub/api/user", "/hub/login", "/hub/", "/", "/services/inset/", "//hub/api", "/user"]
)
async def test_the_hub_is_not_reached_from_outside(site: Site, in_front: Edge, tampered: Tampered, path: str):
    ada = await enter(site, in_front, "ada")

    assert (await tampered.without_edge(path)).status == 200
    assert (await tampered.front.ask(ada.host, path, headers=ada.headers)).by_edge
    around = f"{ada.prefix}../..{path}"
    assert (await tampered.front.ask(ada.host, around, headers=ada.headers)).by_edge
    # The hub's own name is no name here.
    assert (await in_front.ask(DOMAIN, path, server_name=ada.host)).status == 421


async def test_a_service_worker_is_not_fetched(site: Site, in_front: Edge, tampered: Tampered):
    ada = await enter(site, in_front, "ada")
    script = f"{ada.prefix}files/worker.js"

    assert (await tampered.front.ask(ada.host, script, headers=ada.headers)).status == 200
    for value in ("script", "Script", "x"):
        as_worker = {**ada.headers, "Service-Worker": value}
        assert (await tampered.front.ask(ada.host, script, headers=as_worker)).by_edge


async def test_a_seats_host_serves_no_other_seat(site: Site, in_front: Edge, tampered: Tampered):
    ada, bob = await enter(site, in_front, "ada"), await enter(site, in_front, "bob")

    for host, prefix, status in [
        (ada.host, ada.prefix, 200),
        (bob.host, bob.prefix, 200),
        (ada.host, bob.prefix, 403),
        (bob.host, ada.prefix, 403),
        ("seat-009.nb.localhost", ada.prefix, 403),
    ]:
        answer = await tampered.front.ask(host, f"{prefix}api/me", headers=ada.headers)
        assert answer.status == status, (host, prefix)
    # Neither the line of the request nor the name in its TLS makes it another host's.
    absolute = f"https://{bob.host}:{in_front.port}{bob.prefix}api/me"
    for target in (absolute, f"{bob.prefix}api/me"):
        answer = await tampered.front.ask(ada.host, target, headers=ada.headers, server_name=bob.host)
        assert answer.by_edge


async def test_what_the_edge_asks_can_not_be_forged(site: Site, in_front: Edge, tampered: Tampered):
    held = await enter(site, in_front, "heidi", may=NO_DOWNLOAD)
    allowed = f"{held.prefix}api/me"
    forged = {
        **held.headers,
        "X-Original-URI": allowed,
        "X_Original_URI": allowed,
        "X-Original-Method": "GET",
        "X-Original-Host": f"{held.host}:{in_front.port}",
        "X-Rewrite-URL": allowed,
        "X-HTTP-Method-Override": "GET",
    }

    assert (await tampered.front.ask(held.host, allowed, headers=forged)).status == 200
    assert (await tampered.front.ask(held.host, f"{held.prefix}files/data.csv", headers=forged)).by_edge


@pytest.mark.parametrize(
    "path",
    ["/edge/check", "//edge/check", "/edge%2fcheck", "/%65dge/check", "/x/../edge/check", "/EDGE/check", "/edge/"],
)
async def test_nobody_asks_the_service_in_the_edges_name(site: Site, in_front: Edge, stack: EdgeStack, path: str):
    ada = await enter(site, in_front, "ada")
    asked = {
        "Inset-Edge-Token": TOKEN,
        "X-Original-Method": "GET",
        "X-Original-Host": f"{ada.host}:{in_front.port}",
        "X-Original-URI": f"{ada.prefix}api/me",
    }

    inside = await ask_plainly(stack.ports.service, "/edge/check", {"Host": "x", **asked})
    assert inside.status == 204
    assert (await in_front.ask(SERVICE_NAME, path, headers=asked)).status == 404
    assert (await in_front.ask(SERVICE_NAME, "/bridge/v1/credentials", method="POST")).status == 404
    assert (await in_front.ask(ada.host, "/.inset-check", headers=asked)).status == 404
