"""The pool on a real hub: whoever comes gets a server and a kernel that run already, and nobody gets them again."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from stack import Stack

from inset.db import open_database
from tests.security.conftest import embed, get, host_page
from tests.service.conftest import document, until
from tests.support.chromium import chromium
from tests.support.hosts import TestHost
from tests.support.kernels import run_in_kernel
from tests.support.real_hub import HUB_CONFIG, RealHub
from tests.support.site import Site
from tests.support.whole import new_stack

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = new_stack(tmp_path_factory.mktemp("pool"), INSET_POOL='{"default": 1}')
    stack.start()
    yield stack
    stack.stop()


def _hub(stack: Stack) -> RealHub:
    token = json.loads((stack.folder / "secrets.json").read_text())["hub_token"]
    folder = stack.folder / "hub"
    return RealHub(stack.ports.hub, stack.ports.hub_api, token, folder, folder / "hub.log", HUB_CONFIG, {})


async def _warm(stack: Stack) -> tuple[str, str]:
    """Wait for a server that nobody has yet; gives its id and its seat."""
    asked = text("SELECT id, seat FROM servers WHERE state = 'warm'")
    async with asyncio.timeout(120), open_database(f"sqlite:///{stack.folder}/inset.db") as database:
        while True:
            async with database.transaction(read_only=True) as db:
                if row := (await db.exec(asked)).first():
                    return row[0], row[1]
            await asyncio.sleep(0.2)


async def _kernels(hub: RealHub, seat: str, path: str = "api/kernels", *, token: str) -> Any:
    """Ask a server for its kernels until it has one."""
    async with asyncio.timeout(60), hub.seat(seat, token=token) as http:
        while not (found := (await http.get(path)).json()):
            await asyncio.sleep(0.2)
        return found


async def _opened(stack: Stack, client: httpx.AsyncClient, source: str) -> tuple[str, str, httpx.URL]:
    """Open a notebook of the client's user; gives its id, the session's, and the frame's URL."""
    notebook = (await client.post("/v1/notebooks", json={"name": "N", "content": document(source)})).json()
    opened = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    session = await until(client, opened["id"], "ready")
    minted = (await client.post(f"/v1/sessions/{session['id']}/iframe-url")).raise_for_status().json()
    return notebook["id"], session["id"], httpx.URL(minted["url"])


async def test_a_user_gets_a_server_and_a_kernel_that_run_and_the_next_one_gets_others(pooled: Stack) -> None:
    hub, host = _hub(pooled), TestHost.of(pooled)
    base = f"http://127.0.0.1:{pooled.ports.service}"
    async with (
        httpx.AsyncClient(base_url=base, headers=host.bearer("ada"), timeout=60) as ada,
        httpx.AsyncClient(base_url=base, headers=host.bearer("grace"), timeout=60) as grace,
    ):
        server, seat = await _warm(pooled)
        token = await hub.mint_token(seat)
        [kernel] = await _kernels(hub, seat, token=token)

        notebook, session, url = await _opened(pooled, ada, "print(6 * 7)")

        assert url.host == f"{seat}.nb.localhost"
        [file] = (pooled.folder / "hub" / "seats").glob(f"{seat}/{server}/work/*/*.ipynb")
        assert file.read_bytes() == (await ada.get(f"/v1/notebooks/{notebook}/content")).content
        # The page finds this session by the notebook's path, and runs its cells in its kernel.
        [at_work] = await _kernels(hub, seat, "api/sessions", token=token)
        assert (at_work["path"], at_work["kernel"]["id"]) == (f"work/{notebook}/N.ipynb", kernel["id"])
        code = "import os; print(6 * 7, os.getcwd(), os.listdir())"
        assert await run_in_kernel(hub, seat, token, kernel["id"], code) == f"42 {file.parent} ['N.ipynb']\n"

        other_server, other_seat = await _warm(pooled)
        _, _, other_url = await _opened(pooled, grace, "1")
        assert other_server != server
        assert other_url.host == f"{other_seat}.nb.localhost" != url.host
        # What opens the one opens nothing of the other.
        async with hub.seat(other_seat, token=token) as stranger:
            assert (await stranger.get("api/kernels")).status_code in (302, 403)

        await ada.delete(f"/v1/sessions/{session}")
        await until(ada, session, "ended")
        async with asyncio.timeout(90):
            while (pooled.folder / "hub" / "seats" / seat / server).exists():
                await asyncio.sleep(0.2)
        third_server, _ = await _warm(pooled)
        assert third_server not in (server, other_server)


@pytest.mark.browser
async def test_a_page_shows_the_notebook_with_the_kernel_that_was_started_ahead(pooled: Stack, tmp_path: Path) -> None:
    hub, site = _hub(pooled), Site.registered(pooled)
    async with site.served(), chromium(tmp_path / "profile") as browser:
        _, seat = await _warm(pooled)
        [kernel] = await _kernels(hub, seat, token=await hub.mint_token(seat))
        async with site.client("eve") as service:
            new = {"name": "N", "content": document("1")}
            notebook = (await service.post("/v1/notebooks", json=new)).json()

        frame = await embed(await host_page(browser, site), "eve", notebook["id"])

        assert frame.url.startswith(f"{hub.seat_origin(seat)}/")
        assert [one["id"] for one in await get(frame, "api/kernels")] == [kernel["id"]]
