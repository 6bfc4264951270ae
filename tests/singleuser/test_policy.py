"""What a user may not do in a notebook, his browser gets refused by his server; what he may, it does."""

import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from inset_bridge.policy import EVERYTHING, is_own, judge
from tests.fakes.fake_service import FakeService
from tests.singleuser.conftest import SEAT, Seat, notebook, started
from tests.singleuser.test_entry import Browser
from tests.support.handlers import handlers_of
from tests.support.real_hub import RealHub
from tests.support.websocket import refused_websocket, websocket

pytestmark = pytest.mark.asyncio(loop_scope="session")

VIEW_ONLY, NO_DOWNLOAD = "seat-006", "seat-007"
KERNEL = {"name": "python3"}


@dataclass
class Visitor:
    """A browser that entered a server for one notebook."""

    seat: Seat
    name: str
    """The seat's."""
    browser: Browser
    notebook_id: str
    path: str

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        xsrf = {"X-XSRFToken": self.browser.cookies["_xsrf"]}
        return await self.browser.request(method, path, headers=xsrf, **options)

    async def status(self, method: str, path: str, **options: Any) -> int:
        return (await self.ask(method, path, **options)).status_code

    @property
    def versions(self) -> int:
        return len(self.seat.service.notebooks[self.notebook_id].versions)


async def visit(seat: Seat, name: str) -> Visitor:
    notebook_id, path = await seat.load("1")
    browser = Browser(seat)
    await browser.enter(seat.ticket(notebook_id, path, next=f"/user/{name}/notebooks/{path}"))
    return Visitor(seat, name, browser, notebook_id, path)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def viewed(hub: RealHub, service: FakeService) -> AsyncIterator[Seat]:
    async with started(hub, service, VIEW_ONLY, may=[]) as seat:
        yield seat


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kept(hub: RealHub, service: FakeService) -> AsyncIterator[Seat]:
    async with started(hub, service, NO_DOWNLOAD, may=["edit", "run"]) as seat:
        yield seat


@pytest_asyncio.fixture(loop_scope="session")
async def viewer(viewed: Seat) -> Visitor:
    """May only look."""
    return await visit(viewed, VIEW_ONLY)


@pytest_asyncio.fixture(loop_scope="session")
async def keeper(kept: Seat) -> Visitor:
    """May edit and run, and take nothing away."""
    return await visit(kept, NO_DOWNLOAD)


@pytest_asyncio.fixture(loop_scope="session")
async def owner(seat: Seat) -> Visitor:
    """May do everything."""
    return await visit(seat, SEAT)


async def test_without_run_no_kernel_is_started(viewer: Visitor, owner: Visitor):
    for path, body in (
        ("api/kernels", KERNEL),
        ("api/sessions", {"path": "a.ipynb", "name": "", "type": "notebook", "kernel": KERNEL}),
    ):
        assert await viewer.status("POST", path, json=body) == 403
        assert await owner.status("POST", path, json=body) == 201
    assert (await viewer.ask("GET", "api/kernels")).json() == []


async def test_without_run_a_kernel_is_neither_spoken_to_nor_ended(viewer: Visitor, owner: Visitor):
    kernels = {
        visitor.name: (await visitor.seat.http.post("api/kernels", json=KERNEL)).json()["id"]
        for visitor in (viewer, owner)
    }
    one = kernels[viewer.name]

    await refused_websocket(viewer.seat.hub, viewer.name, f"api/kernels/{one}/channels", cookies=viewer.browser.cookies)
    for method, path in (("POST", "/interrupt"), ("POST", "/restart"), ("DELETE", "")):
        assert await viewer.status(method, f"api/kernels/{one}{path}") == 403

    other = kernels[owner.name]
    async with websocket(owner.seat.hub, owner.name, f"api/kernels/{other}/channels", cookies=owner.browser.cookies):
        pass
    for visitor, status in ((owner, 204), (viewer, 403)):
        assert await visitor.status("DELETE", f"api/kernels/{kernels[visitor.name]}") == status
    assert (await viewer.seat.http.delete(f"api/kernels/{one}")).status_code == 204, "the service is not bound"


async def test_without_edit_nothing_is_written(viewer: Visitor, owner: Visitor):
    model = {"type": "file", "format": "text", "content": "x"}

    async def writes(visitor: Visitor) -> list[int]:
        checkpoints = f"api/contents/{visitor.path}/checkpoints"
        return [
            await visitor.status("PUT", f"api/contents/{uuid.uuid4().hex}.txt", json=model),
            await visitor.status("POST", "api/contents", json={"type": "directory"}),
            await visitor.status("POST", checkpoints),
            await visitor.status("POST", f"{checkpoints}/checkpoint"),
            await visitor.status("POST", f"api/contents/{visitor.path}/trust"),
            await visitor.status("POST", "inset/api/flush", json={"path": visitor.path}),
            await visitor.status("PATCH", f"api/contents/{visitor.path}", json={"path": f"{visitor.path}.ipynb"}),
            await visitor.status("DELETE", f"api/contents/{visitor.path}.ipynb"),
        ]

    assert await writes(owner) == [201, 201, 201, 204, 201, 200, 200, 204]
    assert await writes(viewer) == [403] * 8
    assert (await viewer.ask("GET", f"api/contents/{viewer.path}")).json()["writable"] is False
    assert (await owner.ask("GET", "api/contents")).json()["writable"] is True


async def test_without_edit_what_a_kernel_wrote_into_the_file_is_not_stored(viewer: Visitor, owner: Visitor):
    for visitor in (viewer, owner):
        [file] = (visitor.seat.hub.data / "seats" / visitor.name).rglob(f"{visitor.notebook_id}/analysis.ipynb")
        file.write_bytes(notebook("written past Jupyter"))
        assert (await visitor.seat.flush(visitor.path)).status_code == 200
    assert (viewer.versions, owner.versions) == (1, 2)

    for visitor in (viewer, owner):
        await visitor.seat.save(visitor.path, "written by whom no capability binds")
    assert (viewer.versions, owner.versions) == (1, 3)


async def test_without_download_only_the_notebook_itself_is_read(keeper: Visitor, viewer: Visitor, owner: Visitor):
    secret = {"type": "file", "format": "text", "content": "a secret"}
    for visitor in (keeper, viewer, owner):
        (await visitor.seat.http.put("api/contents/secret.csv", json=secret)).raise_for_status()

    async def reads(visitor: Visitor) -> list[int]:
        return [
            await visitor.status("GET", f"files/{visitor.path}"),
            await visitor.status("GET", "files/secret.csv"),
            await visitor.status("GET", "view/secret.csv"),
            await visitor.status("GET", f"nbconvert/script/{visitor.path}"),
            await visitor.status("GET", "api/contents/secret.csv"),
            await visitor.status("GET", "api/contents/secret.csv", params={"content": "0", "hash": "1"}),
        ]

    assert await reads(owner) == [200] * 6
    for visitor in (keeper, viewer):
        assert await reads(visitor) == [403] * 6
        assert await visitor.status("GET", f"api/contents/{visitor.path}") == 200
        assert await visitor.status("GET", f"api/contents/{visitor.path}/checkpoints") == 200
        for around in ("work/%2e%2e/secret.csv", f"{visitor.path}/%2e%2e/%2e%2e/%2e%2e/secret.csv"):
            assert await visitor.status("GET", f"api/contents/{around}") == 403
        listing = (await visitor.ask("GET", "api/contents")).json()
        assert "secret.csv" in {one["name"] for one in listing["content"]}
        assert not any(one["content"] for one in listing["content"])


async def test_without_download_no_file_becomes_the_notebook(keeper: Visitor):
    secret = {"type": "notebook", "format": "json", "content": {"cells": [], "metadata": {}, "nbformat": 4}}
    (await keeper.seat.http.put("api/contents/secret.ipynb", json=secret)).raise_for_status()
    folder = f"api/contents/work/{keeper.notebook_id}"

    assert await keeper.status("POST", folder, json={"copy_from": "secret.ipynb"}) == 403
    assert await keeper.status("PATCH", "api/contents/secret.ipynb", json={"path": f"{folder}/x.ipynb"}) == 403
    # His own notebook he saves and renames, inside its folder.
    assert await keeper.status("PATCH", f"api/contents/{keeper.path}", json={"path": "mine.ipynb"}) == 403
    renamed = f"work/{keeper.notebook_id}/renamed.ipynb"
    assert await keeper.status("PATCH", f"api/contents/{keeper.path}", json={"path": renamed}) == 200
    document = {**secret, "content": (await keeper.ask("GET", f"api/contents/{renamed}")).json()["content"]}
    assert await keeper.status("PUT", f"api/contents/{renamed}", json=document) == 200


async def test_without_terminals_there_are_none(keeper: Visitor, owner: Visitor):
    assert await keeper.status("POST", "api/terminals") == 403
    await refused_websocket(keeper.seat.hub, keeper.name, "terminals/websocket/1", cookies=keeper.browser.cookies)
    assert (await keeper.seat.http.post("api/terminals")).status_code == 404, "there are none for anybody"
    assert '"terminalsAvailable": false' in (await keeper.browser.page(f"notebooks/{keeper.path}")).text

    name = (await owner.ask("POST", "api/terminals")).json()["name"]
    async with websocket(owner.seat.hub, owner.name, f"terminals/websocket/{name}", cookies=owner.browser.cookies):
        pass
    assert await owner.status("DELETE", f"api/terminals/{name}") == 204
    assert '"terminalsAvailable": true' in (await owner.browser.page(f"notebooks/{owner.path}")).text


async def test_the_servers_life_is_not_the_browsers(owner: Visitor):
    assert await owner.status("POST", "api/shutdown") == 403
    assert await owner.status("DELETE", f"inset/api/documents/{owner.notebook_id}") == 403
    assert await owner.status("GET", "api/status") == 200


@pytest.mark.parametrize("by", ["the cookie", "a junk token beside the cookie", "the capability"])
async def test_however_a_browser_shows_its_entry_it_is_bound(by: str, viewer: Visitor):
    headers = {"X-XSRFToken": viewer.browser.cookies["_xsrf"]}
    if by == "a junk token beside the cookie":
        headers["Authorization"] = "token junk"
    if by == "the capability":
        cookieless = Browser(viewer.seat, keeps_cookies=False)
        ticket = viewer.seat.ticket(viewer.notebook_id, viewer.path, next=f"/user/{VIEW_ONLY}/notebooks/{viewer.path}")
        code = (await cookieless.enter(ticket)).json()["code"]
        page = await cookieless.page(f"notebooks/{viewer.path}?entry_code={code}")
        capability = re.search(r'"token": "(cap\.[^"]+)"', page.text)
        assert capability
        headers = {"Authorization": f"token {capability[1]}"}
        viewer.browser.cookies.clear()

    read = await viewer.browser.request("GET", f"api/contents/{viewer.path}", headers=headers)
    written = await viewer.browser.request("POST", "api/contents", headers=headers, json={"type": "directory"})

    assert (read.status_code, written.status_code) == (200, 403)


SAMPLES = {
    r"(?P<path>(?:(?:/[^/]+)+|/?))": "/{path}",
    r"(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)": "{id}",
    r"(?P<session_id>\w+-\w+-\w+-\w+-\w+)": "{id}",
    r"(?P<action>restart|interrupt)": "restart",
    r"(?P<section_name>\w+)": "notebook",
    r"(?P<checkpoint_id>[\w-]+)": "checkpoint",
    r"(?P<format>\w+)": "script",
    r"(?P<schema_name>.+)": "@jupyterlab/notebook-extension:tracker",
    r"(?P<space_name>.+)": "default",
    r"([A-Za-z0-9-]+)": "{id}",
    r"(\w+)": "1",
    r"/?(.*)": "/{path}",
    r"/?": "",
}
"""What a handler's pattern may hold, and what a request has in its place."""
REDIRECTS = r".*/"
HARMLESS = {("POST", "inset/enter"), ("POST", "inset/api/absent")}


async def test_nothing_in_a_view_only_server_changes_anything(viewer: Visitor, tmp_path: Path):
    handlers = handlers_of(tmp_path)
    assert len(handlers) > 60
    assert {one.path for one in handlers if not one.checked} == {REDIRECTS, r"(robots\.txt|favicon\.ico)", "?"}

    asked, answers = 0, {}
    for handler in handlers:
        path = handler.path
        for pattern, sample in SAMPLES.items():
            path = path.replace(pattern, sample.format(path=viewer.path, id=viewer.notebook_id))
        for method in {"POST", "PUT", "PATCH", "DELETE"} & set(handler.methods):
            if handler.path == REDIRECTS or (method, path) in HARMLESS:
                continue
            assert re.fullmatch(handler.path, path), f"no sample fits {handler.path}"
            status = await viewer.status(method, path, json={})
            if status != 403:
                answers[method, path] = status
            asked += 1

    assert (asked > 35, answers) == (True, {})
    assert viewer.versions == 1


CASES = [
    # method, path, what it needs
    ("GET", "notebooks/work/n1/a.ipynb", []),
    ("GET", "lab/tree/work/n1/a.ipynb", []),
    ("GET", "lab/api/settings/@jupyterlab/notebook-extension:tracker", []),
    ("PUT", "lab/api/settings/@jupyterlab/notebook-extension:tracker", ["edit"]),
    ("POST", "inset/api/flush", ["edit"]),
    ("POST", "inset/api/absent", []),
    ("GET", "api/events/subscribe", []),
    ("GET", "api/sessions", []),
    ("POST", "api/sessions", ["run"]),
    ("GET", "api/kernels/1-2-3-4-5/channels", ["run"]),
    ("GET", "terminals/websocket/1", ["run", "terminals"]),
    ("POST", "api/terminals", ["run", "terminals"]),
    ("GET", "files/data.csv", ["download"]),
    ("GET", "api/contents/data.csv", ["download"]),
    ("GET", "api/contents/folder%2Fcheckpoints", ["download"]),
    ("PUT", "api/contents/data.csv", ["download", "edit"]),
    ("POST", "api/contents", ["download", "edit"]),
    ("GET", "nbconvert/html/work/n1/a.ipynb", ["download", "run"]),
    # Not a notebook page's business: for who may do everything.
    ("POST", "nbconvert/html", sorted(EVERYTHING)),
    ("POST", "lab/api/extensions", sorted(EVERYTHING)),
    ("POST", "api/events", sorted(EVERYTHING)),
    ("PATCH", "api/config/notebook", sorted(EVERYTHING)),
    ("GET", "a/handler/of/tomorrow", sorted(EVERYTHING)),
]


@pytest.mark.parametrize(("method", "path", "needs"), CASES)
async def test_a_request_needs_what_the_table_says_and_no_less(method: str, path: str, needs: list[str]):
    assert judge(method, path, EVERYTHING).allowed
    assert judge(method, path, frozenset(needs)).allowed
    for one in needs:
        assert not judge(method, path, EVERYTHING - {one}).allowed


async def test_an_encoded_slash_makes_no_other_handlers_path():
    assert judge("GET", "api/contents/folder%2Fcheckpoints", frozenset()).own == ("folder/checkpoints",)
    assert judge("GET", "api/contents/folder/checkpoints", frozenset()).own == ("folder",)


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("work/n1/a.ipynb", True),
        ("/work/n1/folder/a.ipynb", True),
        ("work/n2/a.ipynb", False),
        ("work/n1/data.csv", False),
        ("work/n1/.ipynb_checkpoints/a.ipynb", False),
        ("work/n1/../n2/a.ipynb", False),
        ("work/n1", False),
        ("work", False),
        ("a.ipynb", False),
    ],
)
async def test_a_sessions_own_is_a_notebook_in_its_folder(path: str, own: bool):
    assert is_own(path, ["n1"]) is own
