"""A browser in a frame, as far as requests make one: by the edge, with the cookies of one entry."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import httpx

from inset.doctor.addresses import dialled


class NoEntry(Exception):
    """The frame was not let in."""


@dataclass
class Browser:
    """Asks one seat's server under its public name. `edge_address` is where the edge is, if not at that name."""

    url: str
    edge_address: str | None
    http: httpx.AsyncClient
    cookies: dict[str, str] = field(default_factory=dict)
    needs_cookies: bool = False
    """Whether the entry said that a frame without cookies can't stay signed in."""

    @property
    def prefix(self) -> str:
        """The server's own path, `/user/<seat>/`."""
        return urlsplit(self.url).path

    async def enter(self, ticket: str) -> None:
        """Trade a ticket for cookies. Raises `NoEntry`, or `httpx.HTTPError` if nobody answers."""
        answer = await self.ask("POST", f"{self.prefix}inset/enter", json={"ticket": ticket})
        if answer.status_code != 200:
            raise NoEntry
        for one in answer.headers.get_list("Set-Cookie"):
            # Python does not know the attribute before 3.14, and would read nothing at all.
            cookie = SimpleCookie(re.sub(r";\s*Partitioned", "", one, flags=re.IGNORECASE))
            self.cookies |= {name: morsel.value for name, morsel in cookie.items()}
        self.needs_cookies = bool(answer.json().get("needs_cookies"))

    async def ask(
        self, method: str, path: str, *, json: object = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a request as the page would; `path` is from the host on. Raises `httpx.HTTPError`."""
        parts = urlsplit(self.url)
        host, port = dialled(parts)
        where = self.edge_address or (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        sent = {"Host": parts.netloc, "Sec-Fetch-Site": "same-origin", "Origin": f"{parts.scheme}://{parts.netloc}"}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            sent["X-XSRFToken"] = self.cookies.get("_xsrf", "")
        return await self.http.request(
            method,
            f"{parts.scheme}://{where}{path}",
            json=json,
            headers={**sent, **(headers or {})},
            extensions={"sni_hostname": parts.hostname or ""},
        )

    def stranger(self) -> "Browser":
        """Give one that has not entered, and has no cookie."""
        return Browser(self.url, self.edge_address, self.http)
