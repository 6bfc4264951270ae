"""A real notebook server without the save bridge: load, save and restore over REST; no frame."""

from collections.abc import Iterator

import httpx
import pytest
from stack import Stack

from tests.service.conftest import document, problem, until
from tests.support.hosts import TestHost
from tests.support.whole import new_stack

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def plain(tmp_path) -> Iterator[Stack]:
    stack = new_stack(tmp_path, INSET_SINGLEUSER_CMD="jupyterhub-singleuser")
    stack.start()
    yield stack
    stack.stop()


async def test_a_stock_server_loads_saves_and_restores_over_rest_and_cannot_be_embedded(plain: Stack) -> None:
    base = f"http://127.0.0.1:{plain.ports.service}"
    async with httpx.AsyncClient(base_url=base, headers=TestHost.of(plain).bearer("ada"), timeout=60) as client:
        notebook = (await client.post("/v1/notebooks", json={"name": "Plain", "content": document("first")})).json()
        path = f"/v1/notebooks/{notebook['id']}"
        opened = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
        session = await until(client, opened["id"], "ready")
        assert session["embeddable"] is False
        assert problem(await client.post(f"/v1/sessions/{session['id']}/iframe-url")) == "not-embeddable"

        # What the server's disk holds is what a save brings home.
        (file,) = (plain.folder / "hub" / "seats").glob(f"*/*/work/{notebook['id']}/Plain.ipynb")
        assert file.read_bytes() == (await client.get(f"{path}/content")).content
        file.write_text(file.read_text().replace("first", "second"))
        saved = (await client.post(f"/v1/sessions/{session['id']}/save")).json()
        assert (saved["version"], saved["created"], saved["flushed"]) == (2, True, False)
        assert "second" in (await client.get(f"{path}/content")).text

        restored = (await client.post(f"{path}/versions/1/restore")).json()
        assert restored["number"] == 3
        assert "first" in file.read_text()

        file.write_text(file.read_text().replace("first", "last words"))
        await client.delete(f"/v1/sessions/{session['id']}")
        await until(client, session["id"], "ended")
        assert "last words" in (await client.get(f"{path}/content")).text
