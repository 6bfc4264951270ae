"""A notebook's page as a person uses it: type into a cell and run it, once the page is able to."""

import asyncio

from playwright.async_api import Frame, FrameLocator

CONNECTED = r"""async () => {
  const { baseUrl, token } = JSON.parse(document.querySelector('#jupyter-config-data').textContent);
  const xsrf = /_xsrf=([^;]+)/.exec(document.cookie)?.[1];
  const headers = token ? { Authorization: `token ${token}` } : { 'X-XSRFToken': xsrf };
  const answer = await fetch(`${baseUrl}api/sessions`, { headers });
  // Its way in is over, and it is not let in again yet; or a kernel is just starting, which Jupyter answers with 500.
  if (!answer.ok) return false;
  const sessions = await answer.json();
  // JupyterLab's address is that of the folder, once it has opened the file.
  const here = (path) => [path, path.replace(/\/[^/]*$/, '')].some((place) => location.pathname.endsWith(place));
  return sessions.some(({ path, kernel }) => here(path) && kernel.connections > 0);
}"""
"""Whether a notebook is connected to its kernel: a function to call inside its frame."""

PATIENCE_SECONDS = 60


async def run_in_last_cell(frame: Frame | FrameLocator, code: str) -> None:
    """Run code once the kernel is connected: Jupyter drops what is run before, and says `idle` too early."""
    await frame.locator(".jp-CodeCell .cm-content").last.wait_for(timeout=1000 * PATIENCE_SECONDS)
    await until_connected(frame)
    await type_in_last_cell(frame, code)
    await frame.locator(".jp-CodeCell .cm-content").last.press("Shift+Enter")


async def until_connected(frame: Frame | FrameLocator) -> None:
    """Wait until the notebook is connected to its kernel."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await frame.locator("body").evaluate(CONNECTED):
            await asyncio.sleep(0.2)


async def type_in_last_cell(frame: Frame | FrameLocator, text: str) -> None:
    """Type once the cell has the keyboard: a page that is still opening may take it away again."""
    cell = frame.locator(".jp-CodeCell .cm-content").last
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            await cell.click()
            await asyncio.sleep(0.2)
            if await cell.evaluate("cell => cell === document.activeElement"):
                break
    await cell.press_sequentially(text)
