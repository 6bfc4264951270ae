"""How a frame stays signed in over TLS, in browsers that know no partitions and in those that do."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.browsers.driven import Driven, firefox, webkit
from tests.browsers.opening import opens_runs_and_saves
from tests.support.edge import Edge
from tests.support.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

Start = Callable[[Path], AbstractAsyncContextManager[Driven]]


def _webkit(policy: str) -> Start:
    return lambda folder: webkit(folder / "webkit", f"--cookies-policy={policy}", any_certificate=True)


def _firefox(folder: Path) -> AbstractAsyncContextManager[Driven]:
    return firefox(folder / "firefox", {}, any_certificate=True)


@pytest.mark.parametrize(
    ("start", "mode"),
    [(_webkit("always"), "plain"), (_firefox, "partitioned")],
    ids=["webkit-always", "firefox-default"],
)
async def test_over_tls_a_notebook_opens_runs_and_saves(
    site: Site, in_front: Edge, tmp_path: Path, start: Start, mode: str
):
    site.claims = {}
    async with start(tmp_path) as browser:
        assert await opens_runs_and_saves(browser, site, mode) == mode
