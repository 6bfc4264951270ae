"""Where webhooks may go: the internet, this machine where the URL names it, and the networks that the operator allows.

The operator writes the URL, and its owner decides by DNS what it leads to. So the addresses are looked at, at each
connection, and the one that was looked at is the one that is dialled.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore

Networks = Sequence[IPv4Network | IPv6Network]

_TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv4 behind a NAT64."""


class AddressNotAllowed(Exception):
    """The name leads to no address that webhooks may go to."""


def names_this_machine(host: str) -> bool:
    """Tell whether a URL's host is this machine by its spelling: `localhost`, or a loopback address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_allowed(address: IPv4Address | IPv6Address, networks: Networks, *, encrypted: bool) -> bool:
    """Tell whether to dial an address: one of the internet, but not in the clear, or one in these networks."""
    address = _embedded(address)
    if any(address in network for network in networks):
        return True
    return encrypted and address.is_global and not address.is_multicast


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to allowed addresses alone. Raises `AddressNotAllowed` where there is none."""

    def __init__(self, networks: Networks, resolver: ThreadPoolExecutor, *, encrypted: bool) -> None:
        """`resolver` has threads of its own: a name server that is slow holds nobody else up."""
        self._networks = networks
        self._resolver = resolver
        self._encrypted = encrypted
        self._dialling = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first allowed address that answers."""
        failed: Exception = AddressNotAllowed()
        for address in await self._addresses(host, port):
            if not (names_this_machine(host) or is_allowed(address, self._networks, encrypted=self._encrypted)):
                continue
            try:
                return await self._dialling.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failed = exc
        raise failed

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Refuse: no URL of a webhook is one."""
        raise AddressNotAllowed

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[IPv4Address | IPv6Address]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._resolver, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            )
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError("the name is not known") from exc
        # Without the zone that an address of a link may carry: none of those is dialled.
        return list(dict.fromkeys(ip_address(str(place[0]).partition("%")[0]) for *_, place in found))


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Give the IPv4 address that an IPv6 one leads to, if it is of that kind."""
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
