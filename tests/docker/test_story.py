"""All of it on a real engine: the demo's page by TLS, a notebook in a container, its output in PostgreSQL."""

import asyncio
import re

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.docker.deployment import Deployment
from tests.docker.sessions import no_session_left
from tests.e2e import fieldnotes
from tests.support.hosts import TestHost

# From nothing: a Debian, seven images of some hundred packages, and everything started.
pytestmark = [pytest.mark.docker, pytest.mark.browser, pytest.mark.timeout(900)]


READ_CREDENTIAL = (
    "import json, os, time; file = os.environ['INSET_CREDENTIALS']; "
    "[time.sleep(0.1) for _ in range(300) if not os.path.exists(file)]; "
    "print('as', json.load(open(file))['warehouse']['value'])"
)


async def test_a_notebook_runs_in_a_container_and_its_output_outlives_every_part(
    running: Deployment, api: httpx.AsyncClient, host: TestHost, page: Page
) -> None:
    await fieldnotes.create(page, "Contained")
    frame = await fieldnotes.opened(page)
    await fieldnotes.run_cell(frame, "import os; print(6 * 7, os.getuid())", "42 1000")
    await fieldnotes.save(page)
    [seat] = running.seat_containers()

    # A host's own credential is found by the kernel of this read-only container, passed while it runs.
    [session] = (await api.get("/v1/sessions", params={"state": "live"})).json()["items"]
    passed = {"credentials": {"warehouse": {"value": "ada's own"}}}
    backend = host.backend_bearer("ada")
    (await api.put(f"/v1/sessions/{session['id']}/credentials", json=passed, headers=backend)).raise_for_status()
    await fieldnotes.run_cell(frame, READ_CREDENTIAL, "as ada's own")
    before = running.inspected(seat)["Id"]

    notebook = await fieldnotes.notebook_id(page)
    stored = (await api.get(f"/v1/notebooks/{notebook}/content")).json()
    assert "".join(stored["cells"][0]["outputs"][0]["text"]) == "42 1000\n"
    counted = f"SELECT count(*) FROM versions WHERE notebook_id::text IN ('{notebook}', replace('{notebook}', '-', ''))"
    psql = ("psql", "--host=/tmp", "--username=postgres", "--dbname=inset", "--tuples-only", "--command", counted)
    assert int(running.inside("database", *psql)) >= 2

    # The demo's back end has been told of it, and writes so into its list. A script of the page's asks for more.
    analyses = await page.context.new_page()
    async with asyncio.timeout(60):
        while not re.search(r"Version \d+, saved", await sent(analyses, running.demo_url)):
            await asyncio.sleep(0.5)
    await analyses.close()

    await asyncio.to_thread(running.composed.compose, "restart", "database", "service", "hub", "engine", "edge", "demo")
    await asyncio.to_thread(running.composed.until_well)

    # The hub has taken its container over again, and the page finds its notebook in it.
    await page.reload()
    frame = await fieldnotes.opened(page)
    await expect(frame.locator(".jp-OutputArea-output").first).to_have_text("42 1000")
    assert running.inspected(seat)["Id"] == before
    await fieldnotes.run_cell(frame, "print('after', 6 * 8)", "after 48")
    await fieldnotes.save(page)

    await no_session_left(running, api)
    assert seat not in running.on_users_network()
    assert "after 48" in (await api.get(f"/v1/notebooks/{notebook}/content")).text


async def sent(page: Page, url: str) -> str:
    """Give a page as the server has sent it."""
    answer = await page.goto(url)
    assert answer
    return await answer.text()


async def test_a_hub_is_reached_by_its_seats_addresses_alone(running: Deployment) -> None:
    for target in ("/hub/", "/hub/api", "/api/routes"):
        refused = await running.front.ask("seat-001.nb.localhost", target)
        assert refused.by_edge, target
    with pytest.raises(OSError, match=r"(?i)unrecognized.?name"):
        await running.front.ask("nb.localhost", "/hub/api")
    for part in ("edge", "bridge"):
        assert (await running.front.ask("inset.localhost", f"/{part}/check")).status == 404


async def test_the_page_s_own_files_are_the_edge_s_to_give(running: Deployment) -> None:
    page = await running.front.ask("assets.nb.localhost", "/warm-up")
    [main] = re.findall(r'src="(/[0-9a-f]{16}/main\.[^"]+)"', page.body.decode())
    script = await running.front.ask("assets.nb.localhost", main, headers={"Accept-Encoding": "gzip"})

    assert (script.status, script.headers["Content-Encoding"]) == (200, "gzip")
    assert "immutable" in script.headers["Cache-Control"]
