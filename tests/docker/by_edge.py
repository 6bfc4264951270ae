"""The service, called by the edge."""

import ssl

import httpx

from tests.support.edge import SERVICE_NAME


def by_edge(port: int, trust: ssl.SSLContext, *, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """Make a client of the service's under its name, which Python does not resolve.

    Each call has a connection of its own. The edge reads its configuration again when a part has gone or come back, and
    closes what idles then: browsers send again what meets that, and httpx does not.
    """

    async def named(request: httpx.Request) -> None:
        request.headers["Host"] = f"{SERVICE_NAME}:{port}"
        request.extensions["sni_hostname"] = SERVICE_NAME

    return httpx.AsyncClient(
        base_url=f"https://{address}:{port}",
        verify=trust,
        event_hooks={"request": [named]},
        limits=httpx.Limits(max_keepalive_connections=0),
        timeout=60,
    )
