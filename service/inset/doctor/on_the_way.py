"""What lies between browsers, hub and service: names, certificates, the proxy, clocks, and what becomes of cookies."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

import httpx

from inset.clock import now
from inset.doctor.addresses import dialled, is_local, site
from inset.doctor.at_home import Home
from inset.doctor.findings import Finding, error, ok, skipped, warning
from inset.errors import Upstream
from inset.hub import HubClient
from inset.hubs import seat_names
from inset.settings import Settings

_NOTICEABLE = timedelta(seconds=5)
_SOON = timedelta(days=14)


class Way:
    """Checks how browsers come to the service and to the seats, as far as it can be seen from here."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient, hub: HubClient) -> None:
        self._settings = settings
        self._http = http
        self._hub = hub
        # The last: a name that somebody made for the first alone is no wildcard.
        self._seat = seat_names(settings.hub.seats)[-1]

    async def proxy(self) -> list[Finding]:
        """Does the hub's proxy answer for a seat?"""
        url = await self._seat_url()
        try:
            answer = await self._ask_proxy(url)
        except httpx.HTTPError:
            answer = None
        if answer is None or answer.status_code in (502, 504):
            fix = "Check INSET_HUB__PROXY_URL: where the hub's proxy, or the edge before it, is reached from here."
            return [error("proxy-unreachable", "The hub's proxy does not answer.", fix)]
        return [ok("proxy", "The hub's proxy answers.")]

    async def clocks(self) -> list[Finding]:
        """Do hub and proxy have the same time as the service?"""
        url = await self._seat_url()
        asked = {"hub": self._http.get(f"{self._settings.hub.api_url}/"), "hub's proxy": self._ask_proxy(url)}
        sent = now()
        answers = await asyncio.gather(*asked.values(), return_exceptions=True)
        away = (now() - sent) / 2
        findings, compared = [], []
        for name, answer in zip(asked, answers, strict=True):
            told = answer.headers.get("Date") if isinstance(answer, httpx.Response) else None
            if not told:
                continue
            compared.append(name)
            apart = abs(parsedate_to_datetime(told).astimezone(UTC) - (sent + away))
            if apart > _NOTICEABLE:
                severe = apart > self._settings.clock_skew
                message = f"The {name}'s clock and the service's are {apart.total_seconds():.0f} seconds apart."
                fix = "Let both machines keep time by NTP. INSET_CLOCK_SKEW bounds only what a host's clock may differ."
                findings.append((error if severe else warning)("clock-skew", message, fix))
        if not compared:
            return [skipped("clocks", "The clocks were not checked: nobody told the time.")]
        return findings or [ok("clocks", "Hub, proxy and service have the same time.")]

    async def names(self) -> list[Finding]:
        """Do the service's name and any seat's resolve?"""
        findings = []
        for url in await self._public():
            name = url.hostname or ""
            if is_local(name):
                continue
            try:
                await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
            except OSError:
                fix = (
                    f"Add a wildcard record, *.{name.partition('.')[2]}, below the name in INSET_HUB_PUBLIC_URL."
                    if name.startswith(f"{self._seat}.")
                    else "Add a record for the name in INSET_PUBLIC_URL."
                )
                findings.append(error("name-unresolved", f"{name} does not resolve from here.", fix))
        return findings or [ok("names", "The names of service and seats resolve, or are this machine's own.")]

    async def certificates(self) -> list[Finding]:
        """Are the public addresses https, with a certificate that browsers accept for any seat?"""
        findings = [await self._certificate(url) for url in await self._public()]
        return [one for one in findings if one] or [ok("tls", "The public addresses are https, or this machine's own.")]

    async def cookies(self, home: Home, host_id: str | None) -> list[Finding]:
        """Say how frames will stay signed in: it hangs on whether host and notebooks are one site."""
        seat = await self._seat_url()
        if seat is None:
            return [skipped("cookies", "not checked: the hub tells no public address of a seat.")]
        findings = []
        for id, origins in (await home.registered(host_id)).items():
            far = [origin for origin in origins if site(origin) != site(seat.geturl())]
            told = (
                f"{far[0]} is another site than the notebooks: frames use partitioned cookies, "
                "and none (mode `cookieless`) where a browser blocks all of third parties."
                if far
                else "Its pages are of one site with the notebooks: cookies work in every browser."
            )
            findings.append(ok("cookies", f"{id}: {told}"))
        return findings

    async def _certificate(self, url: SplitResult) -> Finding | None:
        name = url.hostname or ""
        setting = "INSET_HUB_PUBLIC_URL" if name.startswith(f"{self._seat}.") else "INSET_PUBLIC_URL"
        if url.scheme == "http":
            if is_local(name):
                return None
            told = f"{name} is plain http: browsers keep no secure cookie for it, and an https page can't frame it."
            return error("no-tls", told, f"Serve it by https, and say so in {setting}.")
        try:
            expires = await _expiry(*dialled(url), name=name)
        except ssl.SSLCertVerificationError as exc:
            wanted = f"*.{name.partition('.')[2]} or {name}"
            fix = f"Give the server at {setting} a certificate that browsers trust, for {wanted}."
            return error("certificate-invalid", f"The certificate of {name} is not valid: {exc.verify_message}.", fix)
        except OSError:
            # A machine often does not reach its own public address.
            fix = f"If browsers reach it, all is well; else check {setting} and what listens there."
            return warning("tls-unreachable", f"{name} could not be reached from here to check its certificate.", fix)
        if expires - now() < _SOON:
            told = f"The certificate of {name} expires on {expires:%Y-%m-%d}."
            return warning("certificate-expires", told, f"Renew the certificate of {setting}.")
        return None

    async def _public(self) -> list[SplitResult]:
        seat = await self._seat_url()
        return [urlsplit(self._settings.public_url), *([seat] if seat else [])]

    async def _seat_url(self) -> SplitResult | None:
        try:
            url = await self._hub.public_url(self._seat)
        except Upstream:
            return None
        return urlsplit(url) if url and urlsplit(url).hostname else None

    async def _ask_proxy(self, seat: SplitResult | None) -> httpx.Response:
        headers = {"Host": seat.netloc} if seat else {}
        return await self._http.get(f"{self._settings.hub.proxy_url}/user/{self._seat}/", headers=headers)


async def _expiry(address: str, port: int, *, name: str) -> datetime:
    """Shake hands as a browser would, and tell until when the certificate is good."""
    context = ssl.create_default_context()
    _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
    try:
        certificate = writer.get_extra_info("peercert")
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), tz=UTC)
    finally:
        writer.close()
