"""What the hub tells this server through its environment, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


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
    behind_edge: bool
    """Whether an edge stands in front, which takes tokens off every request: only cookies sign a page in then."""
    prefix: str
    """`/user/<seat>/`"""
    hub_token: str = field(repr=False)
    """Proves to the service which server this is."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        public = urlsplit(env.get("JUPYTERHUB_PUBLIC_URL", ""))
        return cls(
            service_url=env["INSET_SERVICE_URL"].rstrip("/"),
            server_id=env.get("INSET_SERVER_ID", ""),
            origins=tuple(env.get("INSET_ORIGINS", "").split()),
            may=frozenset(env.get("INSET_MAY", "").split()),
            behind_edge=bool(env.get("INSET_EDGE")),
            own_origin=f"{public.scheme}://{public.netloc}" if public.netloc else "",
            prefix=env["JUPYTERHUB_SERVICE_PREFIX"],
            hub_token=env["JUPYTERHUB_API_TOKEN"],
        )
