"""The three images on a real engine: DockerSpawner starts a container, and a browser works in it."""

import asyncio
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import expect

from tests.docker.deployment import Deployment
from tests.service.conftest import events
from tests.support.chromium import chromium_page
from tests.support.notebook_page import run_in_last_cell

# From nothing: a Debian, three images of some hundred packages, and everything started.
pytestmark = [pytest.mark.docker, pytest.mark.browser, pytest.mark.timeout(900)]


async def test_a_notebook_runs_in_a_container_and_its_output_reaches_the_database(
    running: Deployment, api: httpx.AsyncClient, host_page: str
) -> None:
    notebook = (await api.post("/v1/notebooks", json={"name": "Contained"})).json()
    session = (await api.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    await reached(api, session["id"], "ready")
    [seat] = running.seat_containers()

    async with chromium_page() as page:
        await page.goto(f"{host_page}?{urlencode({'serviceUrl': running.service_url, 'notebookId': notebook['id']})}")
        await page.evaluate("notebook.ready")
        frame = page.frame_locator(".inset-frame")
        await run_in_last_cell(frame, "import os; print(6 * 7, os.getuid())")
        await expect(frame.locator(".jp-OutputArea-output").first).to_have_text("42 1000", timeout=60_000)
        saved = await page.evaluate("notebook.save()")

        assert await page.evaluate("notebook.sessionId") == session["id"]
        stored = await api.get(f"/v1/notebooks/{notebook['id']}/content")
        assert stored.headers["ETag"] == f'"{saved["version"]}"'
        assert "".join(stored.json()["cells"][0]["outputs"][0]["text"]) == "42 1000\n"

        await api.delete(f"/v1/sessions/{session['id']}")
        await reached(api, session["id"], "ended")

    await without_seats(running)
    assert seat not in running.on_users_network()


async def test_a_seats_container_has_no_power_and_no_way_out(running: Deployment, api: httpx.AsyncClient) -> None:
    notebook = (await api.post("/v1/notebooks", json={"name": "Confined"})).json()
    session = (await api.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    await reached(api, session["id"], "ready")
    [seat] = running.seat_containers()

    def inside(script: str) -> str:
        return running.docker("exec", seat, "sh", "-c", script).strip()

    assert inside("id -u") == "1000"
    assert inside("test -e /var/run/docker.sock || echo none") == "none"
    assert inside("grep CapBnd /proc/self/status").split()[1].strip("0") == ""
    assert inside("grep NoNewPrivs /proc/self/status").split()[1] == "1"
    # The engine lets nothing out of such a network, whatever the container's own routes say.
    assert running.docker("network", "inspect", running.name, "--format", "{{.Internal}}").strip() == "true"

    await api.delete(f"/v1/sessions/{session['id']}")
    await reached(api, session["id"], "ended")
    await without_seats(running)


async def reached(api: httpx.AsyncClient, session_id: str, state: str) -> None:
    """Follow a session's events until one says so; how it failed is the failure's text."""
    seen = []
    async with asyncio.timeout(90):
        async for kind, detail in events(api, session_id):
            seen.append((kind, detail))
            if kind == state:
                return
    raise AssertionError(f"the session never was {state}: {seen}")


async def without_seats(running: Deployment) -> None:
    """Wait until the last container of a seat is gone: a session has ended once its saves are home."""
    async with asyncio.timeout(45):
        while await asyncio.to_thread(running.seat_containers):
            await asyncio.sleep(0.2)
