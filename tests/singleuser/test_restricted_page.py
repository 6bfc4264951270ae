"""What a user sees who may not do everything, or whose data is restricted, in a real Chromium.

It keeps no third-party cookies, unless a test says that it keeps none at all.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Frame, Page, Response

from tests.fakes.fake_service import FakeService
from tests.singleuser.conftest import Seat, started
from tests.support.chromium import NO_COOKIES, chromium
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


FETCHED = """async (path) => {
  const headers = { 'X-XSRFToken': /_xsrf=([^;]+)/.exec(document.cookie)[1] };
  return (await fetch(location.pathname.replace(/(notebooks|lab).*/, '') + path, { headers })).status;
}"""
"""What the server answers to the frame's own cookies: a function to call inside it."""


def _lets_out(entry: str) -> bool:
    return any(word in entry.lower() for word in ("download", "export", "print", "terminal", "browser tab"))


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

    async def menus(self) -> list[str]:
        """The menus' names, as they stand in the bar."""
        return await self.frame.locator(".lm-MenuBar-itemLabel:visible").all_inner_texts()

    async def entries(self, menu: str) -> list[str]:
        """What can be chosen in a menu."""
        await self.frame.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
        return await self.shown_entries()

    async def shown_entries(self) -> list[str]:
        """What can be chosen in the menu that is open, which this closes."""
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
    hub: RealHub,
    service: FakeService,
    host: HostPage,
    profile: Path,
    name: str,
    may: list[str],
    interface: str,
    *,
    data_policy: str = "open",
    cookies: dict[str, Any] | None = None,
    opens: bool = True,
) -> AsyncIterator[Shown]:
    """Show the notebook to a user who may do this, in a seat of his own; or the refusal, if it never `opens`."""
    content = analysis()
    notebook_id = service.add_notebook(content)
    path = f"work/{notebook_id}/analysis.ipynb"
    # This host has no saved version to show: asking for it would be among what the page was refused.
    host.options = {"preview": False}
    async with (
        started(hub, service, name, origins=[host.origin], may=may, data_policy=data_policy) as seat,
        chromium(profile, cookies) as browser,
    ):
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
        if opens:
            await page.evaluate("notebook.ready")
        # A frame that does not open is taken away again.
        yield Shown(page, page.frames[1] if opens else page.main_frame, seat, notebook_id, path, refused)


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
        assert not {"Run", "Kernel"} & set(await view.menus())
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


@pytest.mark.parametrize("interface", ["notebook", "lab"])
async def test_restricted_data_can_be_worked_with_and_no_menu_takes_it_away(
    interface: str, hub: RealHub, service: FakeService, host: HostPage, tmp_path: Path
):
    # As no service of ours would start it: with all capabilities, of which the policy leaves two.
    all_of_them = ["edit", "run", "download", "terminals"]
    async with shown(
        hub, service, host, tmp_path / "profile", "seat-006", all_of_them, interface, data_policy="restricted"
    ) as view:
        frame, page = view.frame, view.page
        assert (await view.events("ready"))[0]["may"] == ["edit", "run"]

        await run_in_last_cell(frame, "\nprint(6 * 7)")
        await frame.locator(".jp-OutputArea-output", has_text="42").wait_for()
        saved = await page.evaluate("notebook.save()")
        assert saved["version"] == view.versions > 1
        assert b"print(6 * 7)" in service.notebooks[view.notebook_id].newest.content

        await page.screenshot(path=tmp_path / f"restricted-{interface}.png")
        offered = {entry for menu in await view.menus() for entry in await view.entries(menu)}
        assert {"Save Notebook", "Run All Cells"} <= offered
        assert [entry for entry in offered if _lets_out(entry)] == []
        if interface == "lab":
            await frame.locator(".jp-DirListing-item", has_text="analysis.ipynb").click(button="right")
            of_file = await view.shown_entries()
            assert "Rename" in of_file
            assert [entry for entry in of_file if _lets_out(entry)] == []

        # Nor what a user could type himself, with the frame's own cookies.
        assert await frame.evaluate(FETCHED, f"api/contents/{view.path}") == 200
        for gone in ("files", "nbconvert/html", "view"):
            assert await frame.evaluate(FETCHED, f"{gone}/{view.path}") in (403, 404), gone


async def test_where_all_cookies_are_blocked_restricted_data_stays_closed_and_the_page_says_why(
    hub: RealHub, service: FakeService, host: HostPage, tmp_path: Path
):
    async with shown(
        hub, service, host, tmp_path / "profile", "seat-007", ["edit", "run"], "notebook",
        data_policy="restricted", cookies=NO_COOKIES, opens=False,
    ) as view:  # fmt: skip
        refused = await view.page.evaluate("notebook.ready.then(() => null, ({ code }) => code)")

        assert refused == "cookies-blocked"
        assert "Allow cookies for this page" in (await view.page.get_by_role("alert").text_content() or "")
        assert await view.events("ready") == []
        assert not any("/api/contents" in request for request in view.refused)
