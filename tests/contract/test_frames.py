"""The built SDK in a real browser, with the frames of the kits: as a host's own browser tests use them."""

from collections.abc import AsyncIterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.async_api import Page, expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from inset_client import AsyncInset
from inset_client.testkit import fake_inset
from inset_client.testkit.serving import listening, served
from tests.support.chromium import chromium_page
from tests.support.host_page import SDK
from tests.support.insets import javascript_kit

pytestmark = pytest.mark.browser

PAGE = """<!doctype html>
<title>Host</title>
<div id="mount" style="height: 400px"></div>
<script type="module">
  import { embedNotebook } from '/sdk/inset-notebook.js';
  window.told = [];
  window.start = (options) => {
    window.notebook = embedNotebook({ mountPoint: document.querySelector('#mount'), ...options });
    for (const name of ['kernel', 'executed', 'saved']) notebook.on(name, (detail) => told.push({ name, ...detail }));
    return notebook.ready;
  };
</script>
"""


@contextmanager
def python_kit(origin: str):
    with fake_inset(origin=origin) as fake:
        yield dict(fake.access)


KITS = {"python": python_kit, "javascript": javascript_kit}


@pytest.fixture(params=KITS)
def hosted(request: pytest.FixtureRequest):
    """A host's page, and the Inset that it calls."""
    assert SDK.exists(), "build it first: npm ci && npm run build, in frontend-snippet/"
    page = Route("/", lambda request: HTMLResponse(PAGE))
    app = Starlette(routes=[page, Mount("/sdk", StaticFiles(directory=SDK))])
    with listening() as socket:
        origin = f"http://127.0.0.1:{socket.getsockname()[1]}"
        with served(app, socket), KITS[request.param](origin) as access:
            yield origin, access


@pytest.fixture
async def page(hosted: Any) -> AsyncIterator[Page]:
    """Closed before the servers."""
    async with chromium_page() as page:
        yield page


async def test_a_kits_notebook_opens_is_edited_saved_and_commanded(hosted: Any, page: Page) -> None:
    origin, access = hosted
    async with AsyncInset(**access) as inset:
        ada = inset.as_user("ada")
        notebook = await ada.notebooks.create("Analysis")
        await page.goto(origin)
        await page.wait_for_function("typeof start === 'function'")
        options = {"serviceUrl": access["url"], "notebookId": notebook.id}
        await page.evaluate("([o, token]) => start({ ...o, fetchToken: () => token })", [options, inset.token("ada")])

        cell = page.frame_locator(".inset-frame").get_by_label("Cell")
        await cell.fill("6 * 7")
        saved = await page.evaluate("notebook.save()")
        assert saved["version"] == 2
        assert "6 * 7" in (await ada.notebooks.content(notebook.id)).body.decode()

        await page.evaluate("notebook.command('run-all')")
        told = await page.evaluate("told")
        assert {"name": "executed", "cell": 0, "seconds": 0.1, "failed": False} in told
        await page.evaluate("notebook.command('read-only', true)")
        await expect(cell).not_to_be_editable()

        await page.evaluate("notebook.close()")
        [session] = [each async for each in ada.sessions.list()]
        assert session.state == "ended"
