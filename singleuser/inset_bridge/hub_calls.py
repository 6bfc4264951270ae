"""How a server calls the hub: a hub that is started anew elsewhere is found again.

aiohttp remembers for ten seconds where a name led, and waits for half a minute for whoever is no longer there. Where
another hub has another address, as in a Swarm, pages would be answered 500 for most of a minute.
"""

import aiohttp
from jupyterhub.httpclient import JupyterHubHTTPClient

_CONNECTED_WITHIN = 3.0
_ANSWERED_WITHIN = 30.0


async def find_a_moved_hub() -> None:
    """Set JupyterHub's client up, in the loop that it is used in and before it is used."""
    client = JupyterHubHTTPClient.instance()
    client.connector_options = {"use_dns_cache": False}
    client.session_options = {"timeout": aiohttp.ClientTimeout(total=_ANSWERED_WITHIN, sock_connect=_CONNECTED_WITHIN)}
