"""The hub: whether it is there, what the service's token may, which seats it has, and what keeps them apart."""

import asyncio
import re
from urllib.parse import urlsplit

import httpx

from inset.doctor.findings import Finding, error, ok, skipped, warning
from inset.errors import Upstream
from inset.hub import HubClient
from inset.hubs import Hubs, seat_names
from inset.servers import has_own_origin
from inset.settings import Settings

_SUPPORTED = 6
"""The major version of JupyterHub that Inset is made for."""

_NEEDED = {"servers!group=seats", "tokens!group=seats"}
_GIVEN = _NEEDED | {"list:users!group=seats"}
"""Without the last one, as by a configuration of an earlier release, many servers cost the hub more to look up."""
_FOLLOWING = {
    f"{scope}!group=seats"
    for scope in ("delete:servers", "read:servers", "start:servers", "read:tokens", "read:users:name")
}
"""What the hub itself derives from the scopes that are needed."""

_ROLE = "Give the role of the service `inset` in jupyterhub_config.py (`c.JupyterHub.load_roles`) exactly the scopes "
_UNREACHED = "not checked: the hub does not answer as it should"


class Hub:
    """Asks the hub's own API, past its proxy."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient, hub: HubClient) -> None:
        self._http = http
        self._hub = hub
        self._api = settings.hub.api_url
        self._token = settings.hub.token.get_secret_value()
        self._seats = seat_names(settings.hub.seats)
        self._shared_origin_allowed = settings.allow_shared_origin

    async def alive(self) -> list[Finding]:
        """Does it answer, and is it a hub that Inset knows?"""
        try:
            answer = await self._http.get(f"{self._api}/")
            version = str(answer.raise_for_status().json()["version"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            fix = "Check INSET_HUB__API_URL (it ends in /hub/api), and that the hub runs and this machine reaches it."
            return [error("hub-unreachable", "The hub's API does not answer, or is none.", fix)]
        major = re.match(r"\d+", version)
        if major is None or int(major[0]) < _SUPPORTED:
            fix = f"Upgrade the hub to JupyterHub {_SUPPORTED}."
            return [error("hub-version", f"The hub is JupyterHub {version[:20]}, which is too old.", fix)]
        if int(major[0]) > _SUPPORTED:
            fix = f"Run JupyterHub {_SUPPORTED}, or a newer Inset."
            return [warning("hub-version", f"The hub is JupyterHub {version[:20]}, newer than was tried.", fix)]
        return [ok("hub", f"The hub answers: JupyterHub {version[:20]}.")]

    async def token(self) -> list[Finding]:
        """Is it accepted, and good for what is needed and for nothing else?"""
        try:
            answer = await self._http.get(f"{self._api}/user", headers={"Authorization": f"token {self._token}"})
            if answer.status_code in (401, 403):
                fix = "Let INSET_HUB__TOKEN here be the same as INSET_HUB_TOKEN at the hub."
                return [error("token-refused", "The hub does not accept the service's token.", fix)]
            scopes = set(map(str, answer.raise_for_status().json()["scopes"]))
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return [skipped("token", f"The service's token was {_UNREACHED}.")]
        findings = []
        named = " and ".join(sorted(_GIVEN))
        if missing := _NEEDED - scopes:
            told = f"The service's token may not do what it must: {', '.join(sorted(missing))}."
            findings.append(error("scopes-missing", told, f"{_ROLE}{named}."))
        if wide := scopes - _GIVEN - _FOLLOWING:
            told = f"The service's token may do more than it must: {_some(wide)}. Whoever gets it, gets that."
            findings.append(error("scopes-too-wide", told, f"{_ROLE}{named}, and make it no admin."))
        return findings or [ok("token", "The hub accepts the service's token, whose scopes are what is needed.")]

    async def seats(self) -> list[Finding]:
        """Does the hub have every seat that the service would take?"""
        expected = len(self._seats)
        try:
            there = expected if await self._has(expected) else await self._count()
        except Upstream:
            return [skipped("seats", f"The seats were {_UNREACHED}.")]
        if there < expected:
            told = f"The service takes {expected} seats and finds {there} at the hub. Sessions in the others fail."
            fix = (
                "Let INSET_HUB__SEATS here be the same number as INSET_SEATS at the hub, and restart what was changed."
            )
            return [error("seats-missing", told, fix)]
        return [ok("seats", f"The hub has all {expected} seats, up to {self._seats[-1]}.")]

    async def origins(self) -> list[Finding]:
        """Is each seat an origin of its own, so that users in one browser are kept apart?"""
        first, last = self._seats[0], self._seats[-1]
        try:
            urls = await asyncio.gather(*(self._hub.public_url(seat) for seat in (first, last)))
        except Upstream:
            return [skipped("isolation", f"The seats' origins were {_UNREACHED}.")]
        if not any(urls):
            return [skipped("isolation", "not checked: the hub tells no public address of a seat.")]
        shared = [seat for seat, url in zip((first, last), urls, strict=True) if url and not has_own_origin(seat, url)]
        if not shared:
            return [
                ok("isolation", f"Each seat is an origin of its own, as {urlsplit(urls[0] or urls[1] or '').netloc}.")
            ]
        told = "The seats share an origin: in one browser, each user's notebook can read the others'."
        fix = (
            "Set INSET_ISOLATION=on at the hub, with INSET_HUB_PUBLIC_URL a name that has a wildcard below it; "
            "in another hub's configuration, `c.JupyterHub.subdomain_host`."
        )
        # Acknowledged, it is known, and no better.
        return [(warning if self._shared_origin_allowed else error)("shared-origin", told, fix)]

    async def _has(self, number: int) -> bool:
        return await self._hub.public_url(self._seats[number - 1]) is not None

    async def _count(self) -> int:
        """Find the last seat there is; seats are numbered without a gap."""
        there, missing = 0, len(self._seats)
        while missing - there > 1:
            middle = (there + missing) // 2
            if await self._has(middle):
                there = middle
            else:
                missing = middle
        return there


async def apart(hubs: Hubs) -> list[Finding]:
    """Are seats of the same name at two hubs at two addresses?"""
    if len(hubs) == 1:
        return []
    urls = await asyncio.gather(*(hub.client.public_url(hub.seats[0]) for hub in hubs), return_exceptions=True)
    told = [url for url in urls if isinstance(url, str) and url]
    if len(set(told)) == len(told):
        return [ok("hubs", f"Each of the {len(told)} hubs that answer has origins of its own.")]
    message = "Two hubs have the same public address: a frame may be shown what is at the other."
    return [error("hubs-share-origin", message, "Give each hub an INSET_HUB_PUBLIC_URL of its own.")]


def _some(scopes: set[str], *, most: int = 6) -> str:
    named = sorted(scopes)
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more
