"""How a server calls the hub: one that is started anew elsewhere is found again.

aiohttp remembers where a name led for ten seconds, c-ares below it for as long as the resolver says, which is ten
minutes in Docker, and whoever is no longer there is waited for half a minute. Where another hub has another address, as
after an update, a server's pages would be answered 500 for all that time.
"""

import aiohttp
from jupyterhub.httpclient import JupyterHubHTTPClient

_CONNECTED_WITHIN = 3.0
_ANSWERED_WITHIN = 30.0


async def find_a_moved_hub() -> None:
    """Set JupyterHub's client up, in the loop that it is used in and before it is used."""
    client = JupyterHubHTTPClient.instance()
    # The system's resolver, which remembers nothing.
    client.connector_options = {"use_dns_cache": False, "resolver": aiohttp.ThreadedResolver()}
    client.session_options = {"timeout": aiohttp.ClientTimeout(total=_ANSWERED_WITHIN, sock_connect=_CONNECTED_WITHIN)}
