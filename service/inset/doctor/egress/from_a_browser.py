"""What a browser is given of a restricted server: its session's notebook, and nothing else."""

from collections.abc import Mapping

import httpx

from inset.doctor.egress.browser import Browser, NoEntry
from inset.doctor.egress.from_a_kernel import OTHER_FILES
from inset.doctor.egress.trials import Trial
from inset.doctor.findings import Finding, error, ok, skipped

_EDGE = "Put the edge of deploy/edge in front, and let nobody else reach the hub's proxy (INSET_EDGE_ADDRESS names it)."
_TABLE = "Run edge, service and single-user image of one release."
_COPY = {"copy_from": "/" + OTHER_FILES[1]}
_WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "aW5zZXQncyBkb2N0b3IhIQ==",
}


async def look(browser: Browser, ticket: str, trial: Trial, *, token: str) -> list[Finding]:
    """Enter as a frame does, and ask for what must not be given; then come with the server's own token instead."""
    path = str(trial.session.path)
    try:
        await browser.enter(ticket)
        own = await browser.ask("GET", f"{browser.prefix}api/contents/{path}")
    except (NoEntry, httpx.HTTPError):
        own = None
    if own is None or own.status_code != 200:
        told = "No frame comes in by the edge to its own notebook, so nothing that it must not get could be tried."
        return [
            error(
                "egress-entry", told, f"Let the notebooks' public names lead to the edge, or say where it is. {_EDGE}"
            )
        ]
    asked = _Asked(browser)
    text, other = OTHER_FILES
    folder = path.rpartition("/")[0]
    return [
        await asked.refused(
            "contents",
            "another file by the contents API",
            ("GET", f"api/contents/{other}"),
            ("GET", f"api/contents/{text}"),
            ("PUT", f"api/contents/{folder}/new.txt"),
            ("POST", f"api/contents/{folder}"),
        ),
        await asked.refused("files", "a file as it is", *(("GET", f"{one}/{path}") for one in ("files", "view"))),
        await asked.refused(
            "nbconvert",
            "a notebook in another form",
            ("GET", f"nbconvert/html/{path}"),
            ("GET", f"nbconvert/script/{path}?download=true"),
            ("POST", "nbconvert/html"),
        ),
        await asked.refused(
            "archives",
            "a folder whole",
            ("GET", "directories/work"),
            ("GET", f"archive/{folder}"),
            ("GET", "tree-archive"),
        ),
        await asked.refused(
            "terminals",
            "a terminal",
            ("POST", "api/terminals"),
            ("GET", "api/terminals"),
            ("GET", "terminals/websocket/1"),
        ),
        await _hub_pages(browser),
        await _token(browser.stranger(), path, token),
        _cookies(browser),
    ]


class _Asked:
    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    async def refused(self, subject: str, what: str, *requests: tuple[str, str]) -> Finding:
        """Ask below the server's own path, with the frame's cookies."""
        given = [
            f"{method} {path}"
            for method, path in requests
            if await _is_given(
                self._browser, method, self._browser.prefix + path, json=_COPY if method != "GET" else None
            )
        ]
        return _judged(subject, what, given, _TABLE)


async def _hub_pages(browser: Browser) -> Finding:
    asked = ("/hub/home", "/hub/login", "/hub/token", "/hub/api", "/hub/api/users", "/user/seat-999/lab", "/services/")
    given = [path for path in asked if await _is_given(browser, "GET", path)]
    return _judged("hub", "a page of the hub", given, _EDGE)


async def _token(stranger: Browser, path: str, token: str) -> Finding:
    """Come from outside with what a kernel reads in its environment."""
    if not token:
        return skipped("egress-token", "not tried: the kernel told no token to come with.")
    own, told = f"{stranger.prefix}api/contents/{path}", []
    for scheme in ("token", "Bearer"):
        if await _is_given(stranger, "GET", own, headers={"Authorization": f"{scheme} {token}"}):
            told.append(f"Authorization: {scheme} …")
    for name in ("token", "TOKEN", "%74oken"):
        if await _is_given(stranger, "GET", f"{own}?{name}={token}"):
            told.append(f"?{name}=…")
    kernels = f"{stranger.prefix}api/events/subscribe?token={token}"
    if await _is_given(stranger, "GET", kernels, headers=_WEBSOCKET):
        told.append("a websocket's ?token=…")
    return _judged("token", "anything for the server's own token from outside", told, _EDGE)


def _cookies(browser: Browser) -> Finding:
    if browser.needs_cookies:
        return ok("egress-cookies", "A browser that refuses cookies gets `cookies-blocked`.")
    told = "A frame without cookies is let in, with a capability that could be taken elsewhere."
    return error("egress-cookies", told, _TABLE)


async def _is_given(
    browser: Browser, method: str, path: str, *, json: object = None, headers: Mapping[str, str] | None = None
) -> bool:
    """Tell whether anything but a refusal came. A redirect is none: it says where to go on."""
    answer = await browser.ask(method, path, json=json, headers=headers)
    return answer.status_code < 400


def _judged(subject: str, what: str, given: list[str], fix: str) -> Finding:
    code = f"egress-{subject}"
    if not given:
        return ok(code, f"A browser is not given {what}.")
    return error(code, f"A browser was not to be given {what}, and is: {', '.join(given)}.", fix)
