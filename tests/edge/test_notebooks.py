"""Notebooks through the edge, over TLS, in real browsers."""

import asyncio
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from tests.edge.conftest import enter, in_chromium
from tests.security.conftest import embed, host_page
from tests.support.chromium import NO_COOKIES
from tests.support.edge import SERVICE_NAME, Edge
from tests.support.notebook_page import run_in_last_cell
from tests.support.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.mark.parametrize("may", [None, ["edit", "run"]], ids=["everything", "edit and run"])
async def test_a_notebook_opens_runs_and_saves_through_the_edge(
    site: Site, in_front: Edge, new_notebook, tmp_path: Path, may: list[str] | None
):
    user = "ada" if may is None else "grace"
    site.claims = {} if may is None else {"may": may}
    async with in_chromium(tmp_path, in_front) as browser:
        page = await host_page(browser, site)
        frame = await embed(page, user, notebook_id := await new_notebook(user))
        await run_in_last_cell(frame, "print(6 * 7)")
        await expect(frame.locator(".jp-OutputArea-output").first).to_have_text("42\n", timeout=60_000)
        saved = await page.evaluate("notebook.save()")

        assert await page.evaluate("notebook.mode") == "partitioned"
        assert frame.url.startswith("https://seat-")
        async with site.client(user) as service:
            stored = await service.get(f"/v1/notebooks/{notebook_id}/versions/{saved['version']}/content")
        assert "".join(stored.json()["cells"][0]["outputs"][0]["text"]) == "42\n"
        files = f"files/work/{notebook_id}/Of%20{user}.ipynb"
        fetched = await frame.evaluate(
            "async (path) => (await fetch(location.pathname.replace(/notebooks.*/, '') + path)).status", files
        )
        assert (fetched == 403) is (may is not None)


async def test_where_all_cookies_are_blocked_the_host_is_told_so(
    site: Site, in_front: Edge, new_notebook, tmp_path: Path
):
    site.claims = {}
    async with in_chromium(tmp_path, in_front, preferences=NO_COOKIES) as browser:
        page = await host_page(browser, site)
        refused = await page.evaluate(
            "([user, id]) => embed(user, id).ready.then(() => null, ({ code }) => code)",
            ["ada", await new_notebook("ada")],
        )
        told = await page.get_by_role("alert").text_content()

    assert refused == "cookies-blocked"
    assert "Allow cookies for this page" in (told or "")


async def test_the_services_api_and_its_streams_come_through_as_they_are(site: Site, in_front: Edge, new_notebook):
    """A large body, an event as it happens, and the host's token."""
    entered = await enter(site, in_front, "ada")
    async with httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{in_front.port}", verify=in_front.trust(), timeout=30,
        headers={"Host": f"{SERVICE_NAME}:{in_front.port}", **site.host.bearer("ada")},
    ) as service:  # fmt: skip
        tls = {"sni_hostname": SERVICE_NAME}
        large = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"x": "y" * 20_000_000}, "cells": []}
        created = await service.post("/v1/notebooks", json={"name": "Large", "content": large}, extensions=tls)
        assert created.status_code == 201
        sessions = (await service.get("/v1/sessions?state=live", extensions=tls)).json()["items"]
        session = next(one for one in sessions if one["notebook_id"] == entered.notebook_id)
        async with (
            asyncio.timeout(60),
            service.stream("GET", f"/v1/sessions/{session['id']}/events", extensions=tls) as stream,
        ):
            async for line in stream.aiter_lines():
                if line == "event: ready":
                    await service.delete(f"/v1/sessions/{session['id']}", extensions=tls)
                if line == "event: ending":
                    break
