"""The story that Inset grew from, step by step, with a real browser, hub and kernel."""

import asyncio
import json
import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from tests.e2e import fieldnotes
from tests.e2e.conftest import log_in
from tests.service.conftest import document, events, problem, until
from tests.support.notebook_page import type_in_last_cell, until_connected
from tests.support.serving import served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]


async def test_write_run_save_end_and_find_the_work_again(page: Page, stack, api, pictures):
    await page.screenshot(path=pictures / "list-empty.png")
    await fieldnotes.create(page, "Reach of open access")
    await expect(page.get_by_test_id("save-state")).to_contain_text("Starting the notebook server", timeout=20_000)
    await page.screenshot(path=pictures / "starting.png")

    frame = await fieldnotes.opened(page)
    async with fieldnotes.unsaved(page):
        await fieldnotes.run_cell(frame, "print(6 * 7)", "42")
    await page.screenshot(path=pictures / "unsaved.png")
    await fieldnotes.save(page)
    await page.screenshot(path=pictures / "saved.png")

    # Nothing is wrong, and whoever asks is told so; asking disturbs nothing.
    await page.get_by_text("Something wrong? Check the set-up").click()
    await expect(page.get_by_text("Everything that could be checked is as it should be.")).to_be_visible()
    await page.screenshot(path=pictures / "checked.png")
    await page.get_by_text("Something wrong? Check the set-up").click()
    stored = (await api.get(f"/v1/notebooks/{await fieldnotes.notebook_id(page)}/content")).json()
    assert "".join(stored["cells"][0]["source"]) == "print(6 * 7)"
    assert "".join(stored["cells"][0]["outputs"][0]["text"]) == "42\n"

    # The demo's back end has been told of it, and before that of the session, and shows both.
    id = await fieldnotes.notebook_id(page)
    session = (await api.get("/v1/sessions")).json()["items"][0]["id"]
    told = {"items": []}
    async with asyncio.timeout(30):
        while not {id, session} <= {one["subject"] for one in told["items"]}:
            told = (await api.get("/v1/webhooks/deliveries", params={"state": "delivered"})).json()
    await page.get_by_role("button", name="Tools").click()
    shown = page.get_by_test_id("told").get_by_role("listitem")
    await expect(shown.filter(has_text="session.ready")).to_have_count(1)
    await expect(shown.filter(has_text="notebook.saved").last).to_be_visible()
    await page.get_by_role("button", name="Tools").click()

    # Tomorrow: the session is over, the server is gone, and its folder with it.
    seats, its_folder = stack.folder / "hub" / "seats", f"*/*/work/{await fieldnotes.notebook_id(page)}"
    assert list(seats.glob(its_folder))
    await fieldnotes.end_session(page)
    await page.screenshot(path=pictures / "ended.png")
    async with asyncio.timeout(90):
        while list(seats.glob(its_folder)):
            await asyncio.sleep(0.2)

    await page.get_by_role("link", name="Analyses").click()
    await page.screenshot(path=pictures / "list.png")
    await page.get_by_role("link", name="Reach of open access").click()
    frame = await fieldnotes.opened(page)
    await expect(frame.locator(".cm-content").first).to_have_text("print(6 * 7)")
    await expect(frame.locator(".jp-OutputArea-output").first).to_have_text("42")
    # And it is live: a new kernel runs what is typed.
    await fieldnotes.run_cell(frame, "print(6 * 8)", "48")
    await fieldnotes.save(page)


async def test_give_the_user_a_seat_at_the_hub_and_start_the_server(api, new_notebook):
    notebook = await new_notebook()

    opened = await api.post("/v1/sessions", json={"notebook_id": notebook["id"]})
    again = await api.post("/v1/sessions", json={"notebook_id": notebook["id"]})
    session = await until(api, opened.json()["id"], "ready")
    running = await api.post("/v1/sessions", json={"notebook_id": notebook["id"]})
    second = await api.post("/v1/sessions", json={"notebook_id": (await new_notebook())["id"]})

    # Accepted, being started, running already: the hub's own answers differ, the caller's are these.
    assert (opened.status_code, again.status_code, running.status_code) == (202, 200, 200)
    assert again.json()["id"] == running.json()["id"] == session["id"]
    # Another notebook of the user finds the server running.
    assert (await until(api, second.json()["id"], "ready"))["state"] == "ready"
    urls = [
        (await api.post(f"/v1/sessions/{id}/iframe-url")).json()["url"] for id in (session["id"], second.json()["id"])
    ]
    assert len({urlsplit(url).netloc for url in urls}) == 1


async def test_create_an_empty_notebook_file(page: Page):
    await fieldnotes.create(page, "Nothing yet")

    frame = await fieldnotes.opened(page)

    await expect(frame.locator(".jp-Cell")).to_have_count(1)
    await expect(frame.locator(".jp-CodeCell .cm-content")).to_have_text("")
    await expect(frame.get_by_text("Python 3 (ipykernel)").first).to_be_visible()


async def test_recreate_a_stored_notebook_from_the_database(page: Page, stack, api):
    await fieldnotes.create(page, "From the archive", start="The grants example")

    frame = await fieldnotes.opened(page)

    content = (await api.get(f"/v1/notebooks/{await fieldnotes.notebook_id(page)}/versions/1/content")).content
    (file,) = (stack.folder / "hub" / "seats").glob(f"*/*/work/{await fieldnotes.notebook_id(page)}/*.ipynb")
    assert len(json.loads(content)["cells"]) > 1
    await expect(frame.locator(".jp-Cell").nth(1)).to_be_visible()
    assert json.loads(file.read_bytes())["cells"] == json.loads(content)["cells"]


async def test_the_host_shows_the_last_saved_version_as_a_page(page: Page, stack):
    await fieldnotes.create(page, "Previewed", start="The grants example")
    frame = await fieldnotes.opened(page)
    heading = await frame.locator(".jp-RenderedHTMLCommon h1").first.text_content()

    await page.goto(stack.demo_url)
    async with page.expect_response("**/preview") as answering:
        row = page.get_by_role("listitem").filter(has_text="Previewed")
        await row.get_by_role("link", name="Read", exact=True).click()

    answer = await answering.value
    assert "sandbox" in answer.headers["content-security-policy"]
    await expect(page.get_by_role("heading").first).to_have_text((heading or "").removesuffix("¶"))


async def test_the_notebook_opens_at_the_cell_that_was_being_read(page: Page):
    # So low that the example's end has to be scrolled to.
    await page.set_viewport_size({"width": 1100, "height": 420})
    await fieldnotes.create(page, "Read on", start="The grants example")
    static = page.frame_locator(".inset-preview")
    read = asyncio.Event()

    async def when_read(route: Route) -> None:
        await read.wait()
        await route.continue_()

    await page.route("**/iframe-url", when_read)
    # What is hidden still has no height, and scrolls nowhere.
    await expect(page.locator(".inset-preview")).to_be_visible()
    await static.locator(".nb-cell").nth(1).evaluate("(cell) => cell.scrollIntoView()")
    # A policy of the page that keeps the rendering's own style sheet out shows on it.
    await expect(static.locator(".nb-input").first).to_have_css("border-top-style", "solid")
    read.set()
    await expect(page.locator(".inset-preview")).to_have_count(0, timeout=fieldnotes.READY_MS)

    frame = page.frame_locator(".inset-frame")
    await expect(frame.locator(".jp-Cell").nth(1)).to_have_class(re.compile("jp-mod-active"))
    await expect(frame.locator(".jp-Cell").nth(1)).to_be_in_viewport()


async def test_show_it_in_the_iframe_by_a_signed_url(page: Page, browser, stack, heard):
    await fieldnotes.create(page, "Framed")
    await fieldnotes.opened(page)

    src = urlsplit(await page.locator(".inset-frame").get_attribute("src"))
    assert re.fullmatch(rf"seat-\d+\.nb\.localhost:{stack.ports.hub}", src.netloc)
    assert src.fragment.startswith("ticket=")
    # The page and the notebook are different sites, and the browser blocks third-party cookies:
    # what counts is a partitioned cookie, and the hub has set none.
    cookies = {cookie["name"]: cookie for cookie in await browser.cookies()}
    assert set(cookies) == {"fieldnotes", "__Host-inset", "_xsrf"}
    for name in ("__Host-inset", "_xsrf"):
        assert cookies[name]["partitionKey"] == "http://localhost"
    assert cookies["__Host-inset"]["httpOnly"]
    # No login form was ever shown, nor anything of the hub.
    assert not [url for url in heard.urls if "/hub/" in urlsplit(url).path]


async def test_jupyterlab_is_shown_on_request(page: Page, stack, api):
    notebook = (await api.post("/v1/notebooks", json={"name": "In the lab", "content": document("1 + 1")})).json()
    embed = """async ([serviceUrl, notebookId]) => {
        const { embedNotebook } = await import('/sdk/inset-notebook.js');
        const fetchToken = async () => (await (await fetch('/token')).json()).token;
        const mountPoint = document.querySelector('main');
        window.lab = embedNotebook({ mountPoint, serviceUrl, notebookId, fetchToken, interface: 'lab' });
        await window.lab.ready;
    }"""

    await page.evaluate(embed, [stack.service_url, notebook["id"]])

    frame = page.frame_locator(".inset-frame")
    await expect(frame.locator("#jp-main-dock-panel .jp-CodeCell")).to_be_visible(timeout=60_000)
    await type_in_last_cell(frame, "# in the lab ")
    saved = await page.evaluate("lab.save()")
    assert "# in the lab" in (await api.get(f"/v1/notebooks/{notebook['id']}/versions/{saved['version']}/content")).text

    restored = await page.evaluate("lab.restore(1)")
    assert restored["version"] > saved["version"]
    await expect(frame.get_by_text("# in the lab")).to_have_count(0)


async def test_the_browser_of_these_tests_does_block_third_party_cookies(browser, stack):
    """Else the test above would show nothing: a plain cookie of another site must not come back."""
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    async def outer(request):
        return HTMLResponse(f'<iframe src="http://other.localhost:{request.url.port}/inner"></iframe>')

    async def inner(request):
        answer = HTMLResponse("inner " + ",".join(request.cookies))
        answer.set_cookie("plain", "1", samesite="none", secure=True)
        return answer

    async with served(Starlette(routes=[Route("/", outer), Route("/inner", inner)])) as url:
        page = await browser.new_page()
        for _ in range(2):
            await page.goto(url.replace("127.0.0.1", "host.localhost"))
            await expect(page.frame_locator("iframe").locator("body")).to_have_text("inner")
    assert "plain" not in [cookie["name"] for cookie in await browser.cookies()]


async def test_a_framing_page_on_another_origin_is_refused(page: Page, browser, stack, api):
    await fieldnotes.create(page, "Not for everybody")
    await fieldnotes.opened(page)
    (session,) = [
        session
        for session in (await api.get("/v1/sessions", params={"state": "live"})).json()["items"]
        if session["notebook_id"] == await fieldnotes.notebook_id(page)
    ]
    url = (await api.post(f"/v1/sessions/{session['id']}/iframe-url")).json()["url"]
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    async def hostile(request):
        return HTMLResponse(f'<iframe src="{url}" onload="document.title = 1"></iframe>')

    async with served(Starlette(routes=[Route("/", hostile)])) as hostile_url:
        other = await browser.new_page()
        async with other.expect_event("console", lambda message: "frame-ancestors" in message.text):
            await other.goto(hostile_url.replace("127.0.0.1", "localhost"))
        await expect(other).to_have_title("1")
    # The stolen URL was not even spent.
    assert (await api.get(f"/v1/sessions/{session['id']}")).json()["state"] == "ready"


@pytest.mark.parametrize("how", ["button", "keys", "autosave"])
async def test_a_save_from_inside_the_notebook_reaches_the_database_and_the_host_hears(page: Page, api, how):
    await fieldnotes.create(page, f"Saved by {how}")
    frame = await fieldnotes.opened(page)
    async with fieldnotes.unsaved(page):
        await fieldnotes.run_cell(frame, "print('inside')", "inside")

    match how:
        case "button":
            await frame.locator('[data-command="docmanager:save"], jp-button[title*="Save"]').first.click()
        case "keys":
            await frame.locator(".jp-CodeCell .cm-content").last.click()
            await page.keyboard.press("Control+s")

    # Jupyter saves by itself every ten seconds, or after ten times as long as its last save took.
    await fieldnotes.saved(page, patience=60_000)
    notebook = await fieldnotes.notebook_id(page)
    wanted = "autosave" if how == "autosave" else "save"
    # An autosave may have come before the user's save, which then makes that version a save instead of another one.
    async with asyncio.timeout(20):
        while (newest := await newest_version(api, notebook))["origin"] != wanted:
            await asyncio.sleep(0.1)
    assert "inside" in (await api.get(f"/v1/notebooks/{notebook}/content")).text
    await expect(page.get_by_test_id("version")).to_contain_text(f"Version {newest['number']}")


async def newest_version(api: httpx.AsyncClient, notebook: str) -> dict[str, Any]:
    return (await api.get(f"/v1/notebooks/{notebook}/versions")).json()["items"][0]


async def test_the_hosts_save_never_stores_stale_content(page: Page, api):
    """The seed's complaint: a save before Jupyter's own returned what the file held before."""
    await fieldnotes.create(page, "Typed and saved at once")
    frame = await fieldnotes.opened(page)

    for word in ("first", "second", "third"):
        async with fieldnotes.unsaved(page):
            await type_in_last_cell(frame, f"# {word}\n")
        await fieldnotes.save(page)
        content = (await api.get(f"/v1/notebooks/{await fieldnotes.notebook_id(page)}/content")).text
        assert f"# {word}" in content


async def test_a_save_over_rest_asks_the_open_page_for_its_edits(page: Page, api):
    await fieldnotes.create(page, "Saved by the backend")
    frame = await fieldnotes.opened(page)
    await until_connected(frame)
    await type_in_last_cell(frame, "# only in the browser")
    notebook = await fieldnotes.notebook_id(page)
    live = (await api.get("/v1/sessions", params={"state": "live"})).json()["items"]
    session = next(session for session in live if session["notebook_id"] == notebook)

    saved = (await api.post(f"/v1/sessions/{session['id']}/save")).json()

    assert saved["flushed"] is True
    assert (
        "# only in the browser" in (await api.get(f"/v1/notebooks/{notebook}/versions/{saved['version']}/content")).text
    )


async def test_ending_the_session_keeps_edits_that_were_never_saved(page: Page, api):
    await fieldnotes.create(page, "Ended in a hurry")
    frame = await fieldnotes.opened(page)
    await until_connected(frame)
    await type_in_last_cell(frame, "# not saved by anybody")

    await fieldnotes.end_session(page)

    content = (await api.get(f"/v1/notebooks/{await fieldnotes.notebook_id(page)}/content")).text
    assert "# not saved by anybody" in content


async def test_one_notebook_per_analysis_listed_edited_viewed_and_deleted(page: Page, stack, pictures):
    await fieldnotes.create(page, "First try")
    frame = await fieldnotes.opened(page)
    await fieldnotes.run_cell(frame, "print('old')", "old")
    await fieldnotes.save(page)
    await fieldnotes.run_cell(frame, "print('new')", "new")
    await fieldnotes.save(page)

    # History: look at a version, and restore it into the open notebook.
    await page.get_by_role("button", name="History").click()
    versions = page.get_by_test_id("versions").get_by_role("listitem")
    await expect(versions.last).to_contain_text("Version 1")
    count = await versions.count()
    await page.get_by_role("button", name="View version 1").click()
    await expect(page.get_by_role("heading", name="Version 1")).to_be_visible()
    await page.get_by_role("button", name="Close").click()
    await page.screenshot(path=pictures / "history.png")
    await page.get_by_role("button", name="Restore version 1").click()
    await expect(versions).to_have_count(count + 1)
    await expect(frame.locator(".jp-Cell")).to_have_count(1)
    await expect(frame.locator(".jp-CodeCell .cm-content")).to_have_text("")

    # Rename here: the list says it too.
    await page.get_by_role("button", name="Rename").click()
    await page.get_by_role("dialog").get_by_label("Title").fill("Second thoughts")
    await page.get_by_role("button", name="Save title").click()
    await expect(page.get_by_role("heading", name="Second thoughts")).to_be_visible()
    await page.get_by_role("link", name="Analyses").click()
    await expect(page.get_by_role("link", name="Second thoughts")).to_be_visible()

    # Delete, even while it is open, and think again.
    await page.get_by_role("button", name="Delete Second thoughts").click()
    await expect(page.get_by_role("link", name="Second thoughts")).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("link", name="Second thoughts")).to_be_visible()

    # Another user sees nothing of it.
    await page.get_by_role("button", name="Log out").click()
    await log_in(page, stack, "grace")
    await expect(page.get_by_role("link", name="Second thoughts")).to_have_count(0)


async def test_renaming_the_file_in_jupyter_renames_the_analysis(page: Page):
    await fieldnotes.create(page, "By its old name")
    frame = await fieldnotes.opened(page)

    await frame.locator("h1:visible", has_text="By-its-old-name").click()
    await frame.get_by_role("textbox").last.fill("By its new name.ipynb")
    await frame.get_by_role("button", name="Rename").click()

    await expect(page.get_by_role("heading", name="By its new name")).to_be_visible(timeout=20_000)


async def test_links_inside_the_notebook_stay_in_the_frame(page: Page, browser, api):
    other = document("print('linked')")
    await fieldnotes.create(page, "With a link")
    frame = await fieldnotes.opened(page)
    # A second file beside it, made by the user's own code, and a link to it in Markdown.
    written = json.dumps(json.dumps(other))
    await fieldnotes.run_cell(frame, f"print(open('other.ipynb', 'w').write({written}) > 0)", "True")
    await fieldnotes.run_cell(
        frame, "from IPython.display import Markdown; Markdown('[the other one](other.ipynb)')", "the other one"
    )
    await fieldnotes.save(page)

    await frame.get_by_role("link", name="the other one").click()

    await expect(frame.locator(".cm-content").first).to_have_text("print('linked')", timeout=30_000)
    assert len(browser.pages) == 1


async def test_the_hosts_page_calls_the_service_across_origins_and_no_other_page_can(page: Page, browser, stack):
    call = """async (url) => {
        const token = (await (await fetch('/token')).json()).token;
        return (await fetch(url + '/v1/notebooks', {headers: {Authorization: 'Bearer ' + token}})).status;
    }"""
    assert await page.evaluate(call, stack.service_url) == 200

    token = (await page.evaluate("async () => (await fetch('/token')).json()"))["token"]
    stolen = """async ([url, token]) => {
        try { return (await fetch(url + '/v1/notebooks', {headers: {Authorization: 'Bearer ' + token}})).status; }
        catch (error) { return 'blocked'; }
    }"""
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    async def elsewhere(request):
        return HTMLResponse("elsewhere")

    async with served(Starlette(routes=[Route("/", elsewhere)])) as url:
        other = await browser.new_page()
        await other.goto(url.replace("127.0.0.1", "localhost"))
        assert await other.evaluate(stolen, [stack.service_url, token]) == "blocked"


async def test_a_hosts_backend_does_the_same_story_without_a_browser(stack, host, api):
    notebook = (await api.post("/v1/notebooks", json={"name": "By the backend"})).json()
    session = (await api.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    await until(api, session["id"], "ready")
    frame = (await api.post(f"/v1/sessions/{session['id']}/iframe-url")).json()
    assert urlsplit(frame["url"]).path.endswith("/inset/enter")

    # Content goes in by PUT; a restore brings it into the running server; a save brings the server's back.
    put = await api.put(f"/v1/notebooks/{notebook['id']}/content", json=document("1"), headers={"If-Match": '"1"'})
    assert put.json()["version"] == 2
    restored = (await api.post(f"/v1/notebooks/{notebook['id']}/versions/2/restore")).json()
    assert restored["number"] == 2, "equal to the newest: no new version"
    saved = (await api.post(f"/v1/sessions/{session['id']}/save")).json()
    assert (saved["version"], saved["created"]) == (2, False)

    await api.delete(f"/v1/sessions/{session['id']}")
    assert (await until(api, session["id"], "ended"))["ending_reason"] == "closed"
    kinds = [kind async for kind, _ in events(api, session["id"])]
    assert kinds[-2:] == ["ending", "ended"]
    stranger = httpx.AsyncClient(base_url=api.base_url, headers=host.backend_bearer("grace"))
    async with stranger:
        assert problem(await stranger.get(f"/v1/notebooks/{notebook['id']}")) == "notebook-not-found"


@pytest.fixture
def new_notebook(api):
    async def create():
        return (await api.post("/v1/notebooks", json={"name": "N", "content": document("1 + 1")})).json()

    return create


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def all_sessions_over(api):
    """Let each test start with no server running, as the first one does."""
    yield
    for session in (await api.get("/v1/sessions", params={"state": "live"})).json()["items"]:
        await api.delete(f"/v1/sessions/{session['id']}")
        await until(api, session["id"], "ended", "failed")
