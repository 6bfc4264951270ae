"""A notebook in a driven browser: opened, run, and waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.browsers.driven import Driven
from tests.support.notebook_page import CONNECTED
from tests.support.site import Site, notebook

CELL = ".jp-CodeCell .cm-content"
OUTPUT = ".jp-OutputArea-output"
TEXT = "(selector) => document.querySelector(selector)?.textContent"


async def open_notebook(browser: Driven, site: Site, notebook_id: str, *, ready: bool = True, **options: Any) -> None:
    await browser.go(site.url)
    await until(lambda: browser.call("() => window.loaded"), True)
    # WebKitGTK draws in software, and takes its time where there is no graphics card.
    patient = {"timeouts": {"frame": 150_000}, **options}
    await browser.call("(user, id, options) => void embed(user, id, options)", "ada", notebook_id, patient)
    if ready:
        await browser.call("() => notebook.ready")


async def opens_runs_and_saves(browser: Driven, site: Site, name: str) -> str:
    """Open a new notebook of ada's, run a cell, and find what it printed in the database; gives the frame's mode."""
    async with site.client("ada") as service:
        made = (await service.post("/v1/notebooks", json={"name": name, "content": notebook()})).json()

        await open_notebook(browser, site, made["id"])
        mode: str = await browser.call("() => notebook.mode")
        await run_in_first_cell(browser, "print(6 * 7)", "42\n")
        saved = await browser.call("() => notebook.save()")

        stored = await service.get(f"/v1/notebooks/{made['id']}/versions/{saved['version']}/content")
    assert "".join(stored.json()["cells"][0]["outputs"][0]["text"]) == "42\n"
    return mode


async def run_in_first_cell(browser: Driven, code: str, printed: str) -> None:
    # Jupyter drops what is run before it is connected to a kernel.
    await until(lambda: browser.call_inside(CONNECTED), True)
    await browser.run(CELL, code)
    await until(lambda: browser.call_inside(TEXT, OUTPUT), printed)


async def until(look: Callable[[], Awaitable[Any]], expected: object) -> None:
    """Wait until it is what is expected; what else it is, the failure tells."""
    seen: object = None
    try:
        async with asyncio.timeout(120):
            while (seen := await look()) != expected:
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"{seen!r} is not {expected!r}") from None
