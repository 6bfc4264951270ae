"""What axe finds in the SDK's own chrome, in light and dark, on a phone too; with pictures to be looked at."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.sdk.conftest import preview
from tests.support.axe import look
from tests.support.host_page import HostPage, static_page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def host(host: HostPage) -> HostPage:
    host.previews = [preview(cells=12)]
    return host


async def test_nothing_serious_while_a_notebook_waits_and_opens(page: Page, host: HostPage) -> None:
    host.started.clear()
    await page.goto(host.url)
    await expect(page.get_by_text("Starting the notebook server")).to_be_visible()
    await expect(page.locator(".inset-preview")).to_be_visible()
    await look(page, "sdk-starting")

    host.started.set()
    await page.evaluate("notebook.ready")
    await expect(page.locator(".inset-panel")).to_have_count(0)
    assert (
        await page.evaluate("getComputedStyle(document.querySelector('.inset-save'), '::before').animationName")
        == "none"
    )
    await look(page, "sdk-open")


async def test_nothing_serious_where_a_notebook_can_not_be_shown(page: Page, host: HostPage) -> None:
    host.problem = (503, "no-seat", "All places are taken. Try again in a few minutes.")
    await page.goto(host.url)
    await expect(page.get_by_role("alert")).to_be_visible(timeout=30_000)
    await expect(page.locator(".inset-preview")).to_be_visible()
    await look(page, "sdk-no-place")

    # Everything can be reached and pressed by keyboard.
    await page.keyboard.press("Tab")
    host.problem = None
    while not await page.evaluate("document.activeElement.matches('.inset-button')"):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_function("told.some(({ event }) => event === 'ready')")


async def test_nothing_serious_where_there_is_no_saved_version_either(page: Page, host: HostPage) -> None:
    host.previews = []
    host.problem = (409, "session-limit", "End one of them first.")
    await page.goto(host.url)
    await expect(page.get_by_role("alert")).to_be_visible()
    await look(page, "sdk-failed")


async def test_nothing_serious_in_the_saved_version_itself(page: Page) -> None:
    await page.set_content(static_page(ALL_KINDS))
    await expect(page.get_by_role("heading", name="Reach")).to_be_visible()
    await look(page, "sdk-saved-version")


def _code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "execution_count": 1, "metadata": {}, "outputs": list(outputs)}


def _data(**data: str) -> dict[str, Any]:
    of_kind = {kind.replace("_", "/"): value for kind, value in data.items()}
    return {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": of_kind}


_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_TABLE = (
    "<table><thead><tr><th>year</th><th>grants</th></tr></thead><tbody><tr><td>2024</td><td>7</td></tr></tbody></table>"
)
_CODE = """@cached
def reach(grants: list[float], *, of: str = "north") -> float:  # in per cent
    \"\"\"Say how far.\"\"\"
    if not grants or of is None:
        raise ValueError(f"none of {of!r}")
    return 100 * sum(one ** 2 for one in grants) / 1e6
%timeit reach([1.5])
!ls -l"""
_COLOURS = "".join(f"\x1b[{n}m colour {n} \x1b[0m" for n in (*range(30, 38), *range(90, 98), 1, 4, 7))

ALL_KINDS: list[dict[str, Any]] = [
    {
        "cell_type": "markdown",
        "metadata": {},
        "source": "# Reach\n\nOf *open* access, [read more](https://example.org)"
        "\n\n> said\n\n- one\n- `two`\n\n|a|b|\n|-|-|\n|1|2|\n\n```python\nx = 1\n```",
    },
    _code(_CODE),
    _code("print('x' * 400)", {"output_type": "stream", "name": "stdout", "text": "x" * 400}),
    _code(
        "1 / 0",
        {"output_type": "error", "ename": "E", "evalue": "no", "traceback": ["\x1b[0;31mE\x1b[0m: no", _COLOURS]},
    ),
    _code("warn()", {"output_type": "stream", "name": "stderr", "text": "a warning\n" + _COLOURS}),
    _code("table", _data(text_html=_TABLE)),
    _code("plot", _data(image_png=_PIXEL, text_plain="<Figure>")),
    {"cell_type": "raw", "metadata": {}, "source": "as it is"},
]
"""What a notebook may hold, each once."""
