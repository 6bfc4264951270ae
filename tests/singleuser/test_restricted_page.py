"""What a user sees who may not do everything, in a real Chromium that keeps no third-party cookies."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Frame, Page, Response

from tests.fakes.fake_service import FakeService
from tests.singleuser.conftest import Seat
from tests.support.chromium import NO_THIRD_PARTY_COOKIES, chromium
from tests.support.host_page import HostPage, host_page
from tests.support.notebook_page import run_in_last_cell
from tests.support.real_hub import RealHub

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


def analysis() -> bytes:
    """A text, and code with what it once printed."""
    output = {"output_type": "stream", "name": "stdout", "text": ["forty-two once\n"]}
    cells = [
        {"cell_type": "markdown", "id": "one", "metadata": {}, "source": ["# Results of the year"]},
        {
            "cell_type": "code",
            "execution_count": 7,
            "id": "two",
            "metadata": {},
            "outputs": [output],
            "source": ["print('forty-two once')"],
        },
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


@dataclass
class Shown:
    """A notebook in a frame of a host's page."""

    page: Page
    frame: Frame
    seat: Seat
    notebook_id: str
    path: str
    refused: list[str] = field(default_factory=list)
    """What the frame asked its server for and was not given."""

    @property
    def versions(self) -> int:
        return len(self.seat.service.notebooks[self.notebook_id].versions)

    async def events(self, name: str) -> list[dict[str, object]]:
        told: list[dict[str, object]] = await self.page.evaluate("told")
        return [event for event in told if event["event"] == name]

    async def entries(self, menu: str) -> list[str]:
        """What can be chosen in a menu."""
        await self.frame.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
        await self.frame.locator(".lm-Menu").first.wait_for()
        labels = await self.frame.locator(
            ".lm-Menu-item:not(.lm-mod-disabled):visible .lm-Menu-itemLabel"
        ).all_inner_texts()
        await self.page.keyboard.press("Escape")
        return [label for label in labels if label]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def host() -> AsyncIterator[HostPage]:
    async with host_page() as host:
        yield host


@asynccontextmanager
async def shown(
    hub: RealHub, service: FakeService, host: HostPage, profile: Path, name: str, may: list[str], interface: str
) -> AsyncIterator[Shown]:
    """Show the notebook to a user who may do this, in a seat of his own."""
    server_id = await hub.start_server(name, origins=[host.origin], may=may)
    token = await hub.mint_token(name)
    content = analysis()
    notebook_id = service.add_notebook(content)
    path = f"work/{notebook_id}/analysis.ipynb"
    # This host has no saved version to show: asking for it would be among what the page was refused.
    host.options = {"preview": False}
    try:
        async with (
            hub.seat(name, token=token) as http,
            hub.seat(name) as anonymous,
            chromium(profile, NO_THIRD_PARTY_COOKIES) as browser,
        ):
            seat = Seat(hub, service, token, http, anonymous, server_id)
            (await seat.put_document(notebook_id, path, version=1, content=content)).raise_for_status()
            next = f"/user/{name}/{'lab/tree' if interface == 'lab' else 'notebooks'}/{path}"
            ticket = seat.ticket(notebook_id, path, next=next)
            host.frame_urls = [f"{hub.seat_origin(name)}/user/{name}/inset/enter#ticket={ticket}"]
            host.minted = 0

            page = browser.pages[0]
            refused: list[str] = []

            def note(response: Response) -> None:
                if response.status >= 400:
                    refused.append(f"{response.status} {response.request.method} {response.url}")

            page.on("response", note)
            await page.goto(host.url)
            await page.evaluate("notebook.ready")
            yield Shown(page, page.frames[1], seat, notebook_id, path, refused)
    finally:
        await hub.stop_server(name)


@pytest.mark.parametrize("interface", ["notebook", "lab"])
async def test_a_view_only_notebook_is_looked_at_in_peace(
    interface: str, hub: RealHub, service: FakeService, host: HostPage, tmp_path: Path
):
    async with shown(hub, service, host, tmp_path / "profile", "seat-006", [], interface) as view:
        frame, page = view.frame, view.page
        await frame.get_by_role("heading", name="Results of the year").wait_for()
        await frame.locator(".jp-OutputArea-output", has_text="forty-two once").wait_for()
        assert (await view.events("ready"))[0]["may"] == []

        # What would have changed it: typing, running, a new cell, saving.
        cell = frame.locator(".jp-CodeCell .cm-content").first
        await cell.click()
        await page.keyboard.type("typed = 1")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.press("Escape")
        await page.keyboard.type("bdd")
        await page.keyboard.press("Control+s")
        refusal = await page.evaluate("notebook.save().then(() => 'saved', ({ code }) => code)")

        assert refusal == "not-allowed"
        assert await cell.inner_text() == "print('forty-two once')"
        assert await frame.locator(".jp-Notebook .jp-Cell").count() == 2
        assert await frame.locator(".jp-Dialog").count() == 0
        assert await frame.locator(".jp-KernelName:visible").count() == 0
        assert await view.events("dirty") == []
        assert (await view.seat.http.get("api/kernels")).json() == []
        await page.screenshot(path=tmp_path / f"view-only-{interface}.png")
        menus = await frame.locator(".lm-MenuBar-itemLabel:visible").all_inner_texts()
        assert not {"Run", "Kernel"} & set(menus)
        file = await view.entries("File")
        assert "Reload Notebook from Disk" in file
        assert not {"Save Notebook", "Download", "Rename…", "Duplicate", "New", "New Launcher"} & set(file)
        # It tries to change nothing but the layout that JupyterLab would keep, and says nothing of that.
        tried = [one for one in view.refused if not one.startswith("403 GET") and "/lab/api/workspaces/" not in one]
        assert tried == []

        answer = (await view.seat.flush(view.path, ask_page=True)).json()
        assert (answer["flushed"], answer["version"], view.versions) == (True, 1, 1)


async def test_who_may_edit_and_run_works_as_ever_and_takes_nothing_away(
    hub: RealHub, service: FakeService, host: HostPage, tmp_path: Path
):
    async with shown(hub, service, host, tmp_path / "profile", "seat-007", ["edit", "run"], "notebook") as view:
        frame, page = view.frame, view.page
        assert (await view.events("ready"))[0]["may"] == ["edit", "run"]

        await run_in_last_cell(frame, "\nprint(6 * 7)")
        await frame.locator(".jp-OutputArea-output", has_text="42").wait_for()
        saved = await page.evaluate("notebook.save()")

        assert saved["version"] == view.versions > 1
        assert b"print(6 * 7)" in service.notebooks[view.notebook_id].newest.content
        await page.screenshot(path=tmp_path / "edit-and-run.png")
        file = await view.entries("File")
        assert "Save Notebook" in file
        assert not {"Download", "Save and Export Notebook As", "Print…"} & set(file)
        assert not [one for one in view.refused if not one.startswith("403 GET")], view.refused
