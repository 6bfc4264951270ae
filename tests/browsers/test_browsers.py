"""A notebook opens, runs and saves in every browser, whatever cookies it allows, and the host is told how."""

import json
import shutil
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browsers.driven import Chromium, Driven, firefox, webkit
from tests.browsers.opening import TEXT, open_notebook, opens_runs_and_saves, until
from tests.support.chromium import ALL_COOKIES, CHROMIUM, NO_COOKIES, NO_THIRD_PARTY_COOKIES, chromium
from tests.support.site import Site, notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

Start = Callable[[Path], AbstractAsyncContextManager[Driven]]


@dataclass(frozen=True)
class Setting:
    """A browser as somebody has set it."""

    name: str
    start: Start
    mode: str
    """How the frame stays signed in."""
    keeps_third_party: bool
    """Whether an ordinary cookie comes back to another site's frame: shows that the setting is what it says."""


def _chromium(preferences: dict[str, Any], *arguments: str, policy: dict[str, Any] | None = None) -> Start:
    @asynccontextmanager
    async def start(folder: Path) -> AsyncIterator[Chromium]:
        executable = _under_policy(folder, policy) if policy else CHROMIUM
        async with chromium(folder / "profile", preferences, arguments=arguments, executable=executable) as context:
            yield Chromium(context)

    return start


def _under_policy(folder: Path, policy: dict[str, Any]) -> Path:
    """Make a Chromium that finds an enterprise's policy where it looks for one, and that alone does."""
    copy = folder / "etc-chromium"
    shutil.copytree("/etc/chromium", copy)
    (copy / "policies" / "managed").mkdir(parents=True)
    (copy / "policies" / "managed" / "policy.json").write_text(json.dumps(policy))
    script = folder / "chromium"
    mounted = """unshare --mount sh -c 'mount --bind "$0" /etc/chromium && exec "$@"'"""
    script.write_text(f"#!/bin/sh\nexec {mounted} '{copy}' '{CHROMIUM}' \"$@\"\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def _firefox(preferences: dict[str, Any]) -> Start:
    return lambda folder: firefox(folder / "firefox", preferences)


def _webkit(policy: str) -> Start:
    return lambda folder: webkit(folder / "webkit", f"--cookies-policy={policy}")


SETTINGS = [
    Setting("chromium-allowed", _chromium(ALL_COOKIES), "partitioned", True),
    Setting("chromium-preference", _chromium(NO_THIRD_PARTY_COOKIES), "partitioned", False),
    Setting("chromium-policy", _chromium(ALL_COOKIES, policy={"BlockThirdPartyCookies": True}), "partitioned", False),
    Setting("chromium-flag", _chromium(ALL_COOKIES, "--test-third-party-cookie-phaseout"), "partitioned", False),
    Setting("chromium-no-cookies", _chromium(NO_COOKIES), "cookieless", False),
    # Firefox keeps another site's ordinary cookies too, and gives each host's page its own.
    Setting("firefox-default", _firefox({}), "partitioned", True),
    Setting("firefox-strict", _firefox({"browser.contentblocking.category": "strict"}), "partitioned", True),
    Setting("firefox-no-third-party", _firefox({"network.cookie.cookieBehavior": 1}), "cookieless", False),
    # WebKitGTK keeps no cookie that is `Secure` over plain http, which even localhost is to it.
    Setting("webkit-always", _webkit("always"), "cookieless", False),
    Setting("webkit-no-third-party", _webkit("no-third-party"), "cookieless", False),
]
STORES_NOTHING = ("chromium-no-cookies", "firefox-no-third-party")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
async def test_a_notebook_opens_runs_and_saves(site: Site, tmp_path: Path, setting: Setting):
    async with setting.start(tmp_path) as browser:
        assert await _keeps_third_party_cookies(browser, site) is setting.keeps_third_party

        mode = await opens_runs_and_saves(browser, site, setting.name)

        told = await browser.call("() => notebook.told.find(({ event }) => event === 'ready').mode")
        assert (mode, told) == (setting.mode, setting.mode)


@pytest.mark.parametrize(
    "setting", [one for one in SETTINGS if one.name in STORES_NOTHING], ids=lambda setting: setting.name
)
async def test_where_jupyterlab_can_store_nothing_the_host_is_told_what_to_tell(
    site: Site, tmp_path: Path, setting: Setting
):
    async with site.client("ada") as service, setting.start(tmp_path) as browser:
        made = (await service.post("/v1/notebooks", json={"name": "Lab", "content": notebook()})).json()
        await open_notebook(browser, site, made["id"], interface="lab", ready=False)

        refused = await browser.call("() => notebook.ready.then(() => null, ({ code }) => code)")

        assert refused == "cookies-blocked"
        told = await browser.call("() => document.querySelector('[role=alert]').textContent")
        assert "Allow cookies for this page" in told


async def _keeps_third_party_cookies(browser: Driven, site: Site) -> bool:
    for _ in range(2):
        await browser.go(f"{site.origin('host')}/outer")
        await until(lambda: _shown(browser), True)
    kept: str = await browser.call_inside(TEXT, "p")
    return kept == "kept: plain"


async def _shown(browser: Driven) -> bool:
    return str(await browser.call_inside(TEXT, "p")).startswith("kept:")
