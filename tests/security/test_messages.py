"""Messages that pretend to come from the notebook or from the host's page; each is sent by a real page."""

from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page

from tests.security.conftest import embed, host_page, iframe_url
from tests.support.notebook_page import run_in_last_cell
from tests.support.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]

FORGED = """const forged = [
  { protocol: 'notebook-embed/1', type: 'entry-failed', reason: 'session-over' },
  { protocol: 'notebook-embed/1', type: 'hello', min: 1, max: 1, capabilities: ['save'], document: 'forged' },
  { protocol: 'notebook-embed/1', type: 'ready', path: 'x.ipynb', dirty: false, mode: 'plain' },
  { protocol: 'notebook-embed/1', type: 'saved', version: 999, sha256: 'forged', origin: 'save' },
];
"""
# Says that it was here, tries to be the notebook to the host, and to be the host to the notebook.
HOSTILE = f"""<!doctype html><script>
{FORGED}
top.postMessage('hostile page was here', '*');
for (const message of forged) top.postMessage(message, '*');
const {{ port1, port2 }} = new MessageChannel();
port1.onmessage = ({{ data }}) => {{ top.postMessage({{ taken: data }}, '*'); }};
parent.postMessage({{ protocol: 'notebook-embed/1', type: 'connect', version: 1 }}, '*', [port2]);
port1.postMessage({{ protocol: 'notebook-embed/1', type: 'save', request: '1' }});
</script>"""


async def _told(page: Page) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = await page.evaluate("notebook.told")
    # Jupyter saves by itself where a test takes long.
    return [one for one in told if one["event"] != "dirty" and one.get("origin") != "autosave"]


async def _still_itself(page: Page, site: Site, notebook_id: str) -> None:
    """The notebook is open, was told of nothing but its opening, and saves what it holds."""
    assert [one["event"] for one in await _told(page)] == ["ready"]
    saved = await page.evaluate("notebook.save()")
    async with site.client("ada") as service:
        versions = (await service.get(f"/v1/notebooks/{notebook_id}/versions")).json()["items"]
    assert versions[0]["number"] == saved["version"] < 999


async def _posted(page: Page) -> None:
    await page.wait_for_function("heard.some(({ data }) => data === 'hostile page was here')")


@pytest.mark.parametrize("sandbox", ["", 'sandbox="allow-scripts"'], ids=["another origin", "no origin"])
async def test_a_frame_inside_the_output_speaks_neither_for_the_notebook_nor_for_the_host(
    page: Page, site: Site, new_notebook, sandbox: str
):
    site.pages["hostile"] = HOSTILE
    notebook_id = await new_notebook("ada")
    frame = await embed(page, "ada", notebook_id)

    url = f"{site.origin('evil')}/pages/hostile"
    inner = f'<iframe src="{url}" {sandbox}></iframe>'
    await run_in_last_cell(frame, f"from IPython.display import HTML; HTML({inner!r})")

    await _posted(page)
    assert not await page.evaluate("heard.some(({ data }) => data.taken)")
    await _still_itself(page, site, notebook_id)


async def test_a_frame_of_the_notebooks_own_origin_inside_it_does_not_speak_for_it(
    page: Page, site: Site, new_notebook
):
    notebook_id = await new_notebook("ada")
    frame = await embed(page, "ada", notebook_id)

    await frame.evaluate(
        "(html) => { document.body.append(Object.assign(document.createElement('iframe'), { srcdoc: html })); }",
        HOSTILE,
    )

    await _posted(page)
    assert not await page.evaluate("heard.some(({ data }) => data.taken)")
    await _still_itself(page, site, notebook_id)


async def test_another_frame_on_the_hosts_page_speaks_neither_for_the_notebook_nor_for_the_host(
    page: Page, site: Site, new_notebook
):
    site.pages["hostile"] = HOSTILE.replace("parent.postMessage", "top.frames[0].postMessage")
    notebook_id = await new_notebook("ada")
    await embed(page, "ada", notebook_id)

    await page.evaluate(
        "(src) => { document.body.append(Object.assign(document.createElement('iframe'), { src })); }",
        f"{site.origin('evil')}/pages/hostile",
    )

    await _posted(page)
    assert not await page.evaluate("heard.some(({ data }) => data.taken)")
    await _still_itself(page, site, notebook_id)


async def test_what_is_no_message_of_the_protocol_is_not_heard(page: Page, site: Site, new_notebook):
    """Output of code that the user ran stands in the notebook's own page: source and origin are right."""
    notebook_id = await new_notebook("ada")
    frame = await embed(page, "ada", notebook_id)
    tag = {"protocol": "notebook-embed/1"}
    shapeless = [
        None, 7, "hello", [], {}, tag,
        {**tag, "type": "entry-failed", "reason": "because"},
        {**tag, "type": "entry-failed"},
        {**tag, "type": "hello", "min": 1, "max": 1, "capabilities": "save", "document": "x"},
        {**tag, "type": "hello", "min": 98, "max": 99, "capabilities": ["save"], "document": "x"},
        {**tag, "type": "saved", "version": 999, "sha256": "forged", "origin": "save"},
        {"protocol": "notebook-embed/2", "type": "entry-failed", "reason": "session-over"},
    ]  # fmt: skip

    await frame.evaluate("(all) => { for (const one of all) top.postMessage(one, '*'); }", shapeless)
    await frame.evaluate("top.postMessage('hostile page was here', '*')")

    await _posted(page)
    await _still_itself(page, site, notebook_id)


async def test_what_the_notebooks_own_code_claims_is_not_what_the_database_holds(page: Page, site: Site, new_notebook):
    """Such code can answer for the frame, as it could press its buttons: the host then asks the service."""
    notebook_id = await new_notebook("ada")
    frame = await embed(page, "ada", notebook_id)

    await frame.evaluate("""() => {
        addEventListener('message', ({ ports: [port] }) => {
            const claim = { type: 'saved', version: 999, sha256: 'x', origin: 'save' };
            port?.postMessage({ protocol: 'notebook-embed/1', ...claim });
        });
        const hello = { protocol: 'notebook-embed/1', type: 'hello', min: 1, max: 1, capabilities: [], document: 'x' };
        top.postMessage(hello, '*');
    }""")
    await page.wait_for_function("notebook.told.some(({ version }) => version === 999)")

    async with site.client("ada") as service:
        versions = (await service.get(f"/v1/notebooks/{notebook_id}/versions")).json()["items"]
    assert [version["number"] for version in versions if version["origin"] != "autosave"] == [1]


async def test_a_hostile_host_can_neither_frame_a_notebook_nor_speak_to_it_in_a_window(
    browser: BrowserContext, site: Site, new_notebook
):
    notebook_id = await new_notebook("ada")
    url = await iframe_url(site, "ada", notebook_id)
    speak = """<script>
      window.heard = [];
      addEventListener('message', ({ data }) => heard.push(data));
      window.speak = (there) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = ({ data }) => heard.push(data);
        there.postMessage({ protocol: 'notebook-embed/1', type: 'connect', version: 1 }, '*', [port2]);
        port1.postMessage({ protocol: 'notebook-embed/1', type: 'save', request: '1' });
      };
    </script>"""
    site.pages["framing"] = f"{speak}<iframe src='{url}' onload='document.title = 1'></iframe>"
    evil = await browser.new_page()
    async with evil.expect_event("console", lambda message: "frame-ancestors" in message.text):
        await evil.goto(f"{site.origin('evil')}/pages/framing")
    await evil.wait_for_function("document.title === '1'")
    await evil.evaluate("speak(frames[0])")

    # The URL was not even spent: the right page shows it, and then the wrong one opens its page in a window.
    page = await host_page(browser, site)
    frame = await embed(page, "ada", notebook_id)
    async with evil.expect_popup() as opened:
        await evil.evaluate("(url) => { window.there = open(url); }", frame.url)
    window = await opened.value
    await window.get_by_role("heading", name="This session is over").wait_for()
    await evil.evaluate("speak(there)")

    await evil.wait_for_timeout(1000)
    assert await evil.evaluate("heard") == []
    await _still_itself(page, site, notebook_id)
