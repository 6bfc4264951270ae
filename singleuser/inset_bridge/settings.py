"""What the hub tells this server through its environment, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_NEVER_RESTRICTED = frozenset({"download", "terminals"})
"""What no user of restricted data has. The service does not say so in any case; this does not hang on it."""


@dataclass(frozen=True)
class Settings:
    service_url: str
    server_id: str
    """How the service knows this server."""
    origins: tuple[str, ...]
    """The exact origins of the host's pages that may frame this server, at its start."""
    own_origin: str
    """This seat's own, as browsers see it; empty if the hub has no public URL."""
    may: frozenset[str]
    """What this server's user may do in its notebooks, out of `edit`, `run`, `download` and `terminals`."""
    restricted: bool
    """Whether its data must not leave it but by the pages that show it: a policy of the host's, or of all."""
    behind_edge: bool
    """Whether an edge stands in front, which takes tokens off every request: only cookies sign a page in then."""
    prefix: str
    """`/user/<seat>/`"""
    ahead: bool
    """Whether it is started before anybody needs it, and a kernel with it."""
    assets_url: str
    """Where all servers' pages find Notebook's own files, as `inset_bridge.assets` serves them; empty for at each."""
    hub_token: str = field(repr=False)
    """Proves to the service which server this is."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        # What is not known to be open is restricted.
        restricted = env.get("INSET_DATA_POLICY", "open") != "open"
        public = urlsplit(env.get("JUPYTERHUB_PUBLIC_URL", ""))
        return cls(
            service_url=env["INSET_SERVICE_URL"].rstrip("/"),
            server_id=env.get("INSET_SERVER_ID", ""),
            origins=tuple(env.get("INSET_ORIGINS", "").split()),
            may=frozenset(env.get("INSET_MAY", "").split()) - (_NEVER_RESTRICTED if restricted else frozenset()),
            restricted=restricted,
            # An edge is a part of the policy: the service opens no such session without one.
            behind_edge=restricted or bool(env.get("INSET_EDGE")),
            own_origin=f"{public.scheme}://{public.netloc}" if public.netloc else "",
            prefix=env["JUPYTERHUB_SERVICE_PREFIX"],
            ahead=bool(env.get("INSET_AHEAD")),
            assets_url=env.get("INSET_ASSETS_URL", "").rstrip("/"),
            hub_token=env["JUPYTERHUB_API_TOKEN"],
        )
