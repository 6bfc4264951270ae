"""A host's page in a real browser, with a stand-in for a live notebook in its frame."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.support.chromium import fresh_page
from tests.support.host_page import SDK, HostPage, host_page, saved_version

NOTEBOOK = """<!doctype html><body>The live notebook<script>
  const tell = (target, message, ...rest) => target.postMessage({ protocol: 'notebook-embed/1', ...message }, ...rest);
  const hello = { type: 'hello', min: 1, max: 2, capabilities: ['save', 'go-to'], document: String(Math.random()) };
  const greeting = setInterval(() => tell(parent, hello, HOST), 50);
  let port;
  let version = 1;
  // Set, a save is not answered until it fails.
  let hold = false;
  let held;
  function edit() { tell(port, { type: 'dirty', dirty: true }); }
  const full = { type: 'save-failed', code: 'save-failed', message: 'The disk is full.' };
  function fail() { tell(port, { ...full, request: held }); }
  addEventListener('message', ({ ports: [given] }) => {
    clearInterval(greeting);
    port = given;
    port.onmessage = ({ data: { type, request, command, value } }) => {
      if (type === 'save') held = request;
      if (type === 'save' && !hold) setTimeout(() => {
        document.body.dataset.saved = '';
        tell(port, { type: 'saved', version: ++version, sha256: 'ab', origin: 'save', dirty: false, request });
      }, 200);
      if (type === 'ping') tell(port, { type: 'pong', request });
      if (type === 'command') { document.body.dataset.cell = value; tell(port, { type: 'done', request }); }
    };
    tell(port, { type: 'ready', path: 'a.ipynb', dirty: false, mode: 'plain' });
  });
</script>"""


def preview(cells: int = 1, source: str = "grants = 7") -> str:
    return saved_version([f"{source}  # {n}" for n in range(cells)])


@pytest_asyncio.fixture(loop_scope="session")
async def host() -> AsyncIterator[HostPage]:
    assert SDK.exists(), "build it first: npm ci && npm run build, in frontend-snippet/"
    async with host_page() as host:
        host.frames["notebook"] = NOTEBOOK.replace("HOST", repr(host.origin))
        host.frame_urls = [f"{host.frame_origin}/frames/notebook"]
        host.previews = [preview()]
        yield host


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium_for_all: Browser) -> AsyncIterator[Page]:
    async with fresh_page(chromium_for_all) as page:
        yield page
