"""While a server starts its user reads what is saved, and is told; the page's files are fetched then, and once."""

import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Stack

from tests.browsers.opening import until
from tests.browsers.test_browsers import SETTINGS, Setting
from tests.support.site import Site, notebook
from tests.support.whole import new_stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

_AHEAD = [one for one in SETTINGS if one.name in ("chromium-preference", "firefox-default")]
_EMBED = "(user, id) => void embed(user, id, { preview: true, timeouts: { frame: 150_000 } })"
# In the document, which every driver's scripts see as the page does.
_COUNT_LOADS = """() => document.addEventListener('load', ({ target }) => {
    if (target.localName === 'iframe') document.body.dataset.loads = `${document.body.dataset.loads ?? ''}.`;
}, true)"""
_READ = "() => document.querySelector('.inset-preview').contentDocument.body.textContent.includes('kept = 7')"
_TOLD = "() => document.querySelector('.inset-message').textContent"
_OF_THE_FRAME = """(origin) => performance.getEntriesByType('resource')
    .filter(({ name }) => name.startsWith(origin) && name.includes('.js')).length"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # The hub is held up for as long as the browser takes.
    stack = new_stack(tmp_path_factory.mktemp("stack"), INSET_HUB__TIMEOUT="300", INSET_START_TIMEOUT="300")
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def registered(stack: Stack) -> Site:
    return Site.registered(stack)


@pytest.mark.parametrize("setting", _AHEAD, ids=lambda setting: setting.name)
async def test_while_the_hub_does_not_answer_its_user_is_told_and_reads_and_the_page_s_files_come_only_then(
    site: Site, stack: Stack, tmp_path: Path, setting: Setting
):
    # Another user each time: one whose server runs waits for nothing.
    user = setting.name
    async with site.client(user) as service:
        made = (
            await service.post("/v1/notebooks", json={"name": setting.name, "content": notebook("kept = 7")})
        ).json()
    earlier, hub = len(_asked(stack)), stack.child("JupyterHub")

    async with setting.start(tmp_path) as browser:
        hub.send_signal(signal.SIGSTOP)
        try:
            await browser.go(site.url)
            await until(lambda: browser.call("() => window.loaded"), True)
            await browser.call(_COUNT_LOADS)
            await browser.call(_EMBED, user, made["id"])
            # Those of the saved version, of its own, and of the blank page which it becomes when all is there.
            await until(lambda: browser.call("() => document.body.dataset.loads"), "...")
            # Long before the call of the hub is given up.
            await until(lambda: browser.call(_TOLD), "The notebook server does not answer yet")
            assert await browser.call(_READ)
            ahead = set(_asked(stack)[earlier:])
        finally:
            hub.send_signal(signal.SIGCONT)
        await browser.call("() => notebook.ready")
        # It was asked again, and the notebook has taken the saved version's place.
        await until(lambda: browser.call("() => document.querySelectorAll('iframe').length"), 1)
        found = await browser.call_inside(_OF_THE_FRAME, f"http://assets.nb.localhost:{stack.ports.assets}")

    assert (len(ahead) > 30, found > 30) == (True, True)
    asked = Counter(_asked(stack)[earlier:])
    assert {path for path in ahead if asked[path] > 1} == set()


def _asked(stack: Stack) -> list[str]:
    """Give the addresses of the files that browsers have asked for, in order."""
    return re.findall(r"GET (/[0-9a-f]{16}/\S+)", stack.log("assets").read_text())
