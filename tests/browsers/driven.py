"""Browsers as the matrix drives them: one small interface, over Playwright, Marionette and WebDriver."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import httpx
from playwright.async_api import BrowserContext

from tests.support.real_hub import free_ports

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
SHIFT_ENTER = "\ue008\ue007"
"""In WebDriver's alphabet: Shift, held until the end of what is typed, and Enter."""


class Driven(Protocol):
    """A browser with one page, in which there may be one frame."""

    async def go(self, url: str) -> None: ...

    async def call(self, function: str, *arguments: Any) -> Any:
        """Call a JavaScript function in the page; a promise is waited for."""

    async def call_inside(self, function: str, *arguments: Any) -> Any:
        """Call a JavaScript function in the frame; a promise is waited for."""

    async def run(self, selector: str, code: str) -> None:
        """Type into an element of the frame, and press Shift+Enter there."""


class Chromium:
    def __init__(self, context: BrowserContext) -> None:
        self._page = context.pages[0]

    async def go(self, url: str) -> None:
        await self._page.goto(url)

    async def call(self, function: str, *arguments: Any) -> Any:
        return await self._page.evaluate(f"(given) => ({function})(...given)", list(arguments))

    async def call_inside(self, function: str, *arguments: Any) -> Any:
        return await self._page.frames[1].evaluate(f"(given) => ({function})(...given)", list(arguments))

    async def run(self, selector: str, code: str) -> None:
        element = self._page.frame_locator("iframe").locator(selector).first
        # A notebook that is still opening may take the keyboard away again.
        while not await element.evaluate("element => element === document.activeElement"):
            await element.click()
            await self._page.wait_for_timeout(200)
        await self._page.keyboard.type(code)
        await self._page.keyboard.press("Shift+Enter")


class Refused(Exception):
    """The browser did not do what it was told, and said why."""


class WebDriver:
    """The commands of W3C WebDriver that the matrix needs; how they travel is said by `_send`."""

    async def _send(self, command: str, path: str, body: dict[str, Any] | None, **ids: str) -> Any:
        raise NotImplementedError

    async def go(self, url: str) -> None:
        await self._send("Navigate", "url", {"url": url})

    async def call(self, function: str, *arguments: Any) -> Any:
        await self._send("SwitchToFrame", "frame", {"id": None})
        return await self._execute(f"return ({function})(...arguments)", *arguments)

    async def call_inside(self, function: str, *arguments: Any) -> Any:
        await self._enter_frame()
        return await self._execute(f"return ({function})(...arguments)", *arguments)

    async def run(self, selector: str, code: str) -> None:
        await self._enter_frame()
        found = await self._send("FindElement", "element", {"using": "css selector", "value": selector})
        async with asyncio.timeout(30):
            # A notebook that is still opening may move, or take the keyboard away again.
            while not await self._execute("return arguments[0] === document.activeElement", found):
                with suppress(Refused):
                    await self._send("ElementClick", "element/{id}/click", {}, id=found[_ELEMENT])
                await asyncio.sleep(0.2)
        await self._send("ElementSendKeys", "element/{id}/value", {"text": code + SHIFT_ENTER}, id=found[_ELEMENT])

    async def _enter_frame(self) -> None:
        await self._send("SwitchToFrame", "frame", {"id": None})
        await self._send("SwitchToFrame", "frame", {"id": 0})

    async def _execute(self, script: str, *arguments: Any) -> Any:
        return await self._send("ExecuteScript", "execute/sync", {"script": script, "args": list(arguments)})


class Firefox(WebDriver):
    """Speaks Marionette: `length:[0, id, command, parameters]`, answered by `length:[1, id, error, result]`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._count = 0

    async def _send(self, command: str, path: str, body: dict[str, Any] | None, **ids: str) -> Any:
        self._count += 1
        message = json.dumps([0, self._count, f"WebDriver:{command}", {**(body or {}), **ids}]).encode()
        self._writer.write(b"%d:%s" % (len(message), message))
        _, _, error, result = await self.read()
        if error:
            raise Refused(f"{command}: {error['error']}: {error['message']}")
        return result["value"] if isinstance(result, dict) and set(result) == {"value"} else result

    async def read(self) -> Any:
        length = int((await self._reader.readuntil(b":"))[:-1])
        return json.loads(await self._reader.readexactly(length))


class WebKit(WebDriver):
    """Speaks WebDriver over HTTP, to the driver that WebKitGTK brings."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def _send(self, command: str, path: str, body: dict[str, Any] | None, **ids: str) -> Any:
        answer = await self._http.post(path.format(**ids), json=body)
        value = answer.json()["value"]
        if answer.is_error:
            raise Refused(f"{command}: {value['error']}: {value['message']}")
        return value


@asynccontextmanager
async def firefox(
    folder: Path, preferences: dict[str, Any], *, any_certificate: bool = False
) -> AsyncIterator[Firefox]:
    profile = folder / "profile"
    profile.mkdir(parents=True)
    quiet = {
        "marionette.port": 0,
        "app.update.enabled": False,
        "browser.shell.checkDefaultBrowser": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "toolkit.telemetry.reportingpolicy.firstRun": False,
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
        "services.settings.server": "data:,#remote-settings-dummy/v1",
    }
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in (quiet | preferences).items()]
    (profile / "user.js").write_text("\n".join(lines))
    # As another user's child it would look for that user's files.
    environment = {**os.environ, "HOME": str(folder), "MOZ_HEADLESS": "1"}
    command = ["firefox-esr", "--marionette", "--no-remote", "--profile", str(profile), "about:blank"]
    with _running(command, folder, environment):
        port = await _appears(lambda: (profile / "MarionetteActivePort").read_text())
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port), limit=2**24)
        try:
            browser = Firefox(reader, writer)
            await browser.read()
            await browser._send("NewSession", "", {"acceptInsecureCerts": any_certificate})
            await browser._send("SetTimeouts", "", {"script": 200_000})
            yield browser
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def webkit(folder: Path, *arguments: str, any_certificate: bool = False) -> AsyncIterator[WebKit]:
    """WebKitGTK's own small browser, on a screen of its own."""
    folder.mkdir(parents=True)
    port, display = free_ports(2)
    environment = {**os.environ, "HOME": str(folder), "DISPLAY": f":{display}", "LIBGL_ALWAYS_SOFTWARE": "1"}
    screen = ["Xvfb", f":{display}", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    driver = ["WebKitWebDriver", f"--port={port}"]
    with _running(screen, folder, environment), _running(driver, folder, environment):
        await _appears(lambda: Path(f"/tmp/.X11-unix/X{display}").stat())
        async with httpx.AsyncClient(timeout=240, trust_env=False) as http:
            await _answers(http, f"http://127.0.0.1:{port}/status")
            options = {"binary": _mini_browser(), "args": ["--automation", *arguments]}
            wanted = {"alwaysMatch": {"webkitgtk:browserOptions": options, "acceptInsecureCerts": any_certificate}}
            answer = await http.post(f"http://127.0.0.1:{port}/session", json={"capabilities": wanted})
            session = f"http://127.0.0.1:{port}/session/{answer.raise_for_status().json()['value']['sessionId']}"
            http.base_url = httpx.URL(session)
            browser = WebKit(http)
            await browser._send("SetTimeouts", "timeouts", {"script": 200_000})
            try:
                yield browser
            finally:
                await http.delete(session)


def _mini_browser() -> str:
    return str(next(Path("/usr/lib").glob("*/webkit2gtk-4.1/MiniBrowser")))


@contextmanager
def _running(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run until the block is left, then end it with all that it has started."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _appears(look: Callable[[], Any]) -> Any:
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError):
                if found := look():
                    return found
            await asyncio.sleep(0.1)


async def _answers(http: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(httpx.TransportError):
                await http.get(url)
                return
            await asyncio.sleep(0.1)
