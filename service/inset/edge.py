"""What a browser may ask of a notebook server, decided outside it.

Code in a kernel runs as the bridge's account and can change what its server refuses. What must hold against it is
therefore decided here, for each request before it reaches the server, from the request's line alone.
"""

import re
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus, urlsplit

from sqlalchemy import BindParameter, and_, bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from inset.errors import Forbidden, NotAllowed
from inset.models import EVERY_CAPABILITY, OVER, Capability, Server, ServerState, Session
from inset.models.capabilities import read

_SEAT = re.compile(r"/user/([a-z0-9-]+)/(.*)", re.DOTALL)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_NEVER_IN_A_PATH = re.compile(r"[\x00-\x1f\x7f%\\;?#\ud800-\udfff]")
"""Once decoded: what some server or proxy takes for something else than a part of a name."""


class _Row(NamedTuple):
    methods: str
    path: str
    needs: tuple[Capability, ...] = ()


_OWN = r"api/contents/work/(?P<notebook>[A-Za-z0-9-]+)"
_FILE = _OWN + r"/[^/]+\.ipynb"
_ANY = "GET POST PUT PATCH DELETE"

_TABLE = (
    # The entry, and what Jupyter's pages are made of.
    _Row("GET POST", r"inset/enter"),
    _Row("GET", r"inset/probe"),
    _Row("POST", r"inset/api/(flush|absent)"),
    _Row("GET", r"(notebooks|lab/tree|lab/workspaces/[\w-]+/tree)/.+"),
    _Row("GET", r"static/.+|lab/extensions/.+|custom/custom\.css|favicon\.ico|logout"),
    _Row("GET", r"kernelspecs/[^/]+/(logo-\w+\.(png|svg)|kernel\.(js|css))"),
    _Row("GET", r"lab/api/(settings|themes|translations|workspaces)(/.+)?|lab/api/build"),
    _Row("PUT", r"lab/api/(settings|workspaces)/.+"),
    _Row("GET", r"api/(me|status|nbconvert|config/\w+|kernelspecs(/[^/]+)?|events/subscribe)"),
    # Kernels: who may not run code can see that there are none.
    _Row("GET", r"api/(kernels|sessions)(/[\w-]+)?"),
    _Row(_ANY, r"api/(kernels|sessions)(/.+)?", ("run",)),
    _Row(_ANY, r"api/terminals(/.+)?|terminals(/.+)?", ("terminals",)),
    # The notebook: its folder's list, its file, its checkpoints. Other files are downloads.
    _Row("GET", r"api/contents(/work)?"),
    _Row("GET", rf"{_OWN}(/[^/]+\.ipynb(/checkpoints)?)?"),
    _Row("PUT PATCH", _FILE, ("edit",)),
    _Row("POST", rf"{_FILE}/(checkpoints(/[\w-]+)?|trust)", ("edit",)),
    _Row("DELETE", rf"{_FILE}/checkpoints/[\w-]+", ("edit",)),
    _Row("GET", r"api/contents/.+|(files|view|nbconvert)/.+", ("download",)),
    _Row("POST", r"nbconvert/.+", ("download",)),
    # What copies a file from elsewhere would fetch it.
    _Row("POST PUT PATCH DELETE", r"api/contents(/.+)?", ("edit", "download")),
)
"""What a page asks for, and which capabilities it takes. The first row that fits counts.

It serves those who may not do everything; what fits no row is refused to them.
"""


async def check(db: AsyncSession, *, method: str, host: str, uri: str) -> None:
    """Return if a browser may send this to the seat's server.

    `host` and `uri` are as the browser sent them. Raises `NotAllowed` if a capability is missing, and `Forbidden` if no
    server is there, or if it can't be told with certainty what would be asked of it.
    """
    raw_path, _, query = uri.partition("?")
    at = _SEAT.fullmatch(raw_path)
    if at is None or not uri.isascii() or _has_token(query):
        raise Forbidden("No notebook is at this address.")
    # Written out, since SQLite takes the index of the servers that have not stopped only for what it can read.
    stopped: BindParameter[ServerState] = bindparam("stopped", ServerState.STOPPED, literal_execute=True)
    opened = and_(col(Session.server_id) == Server.id, col(Session.state).not_in(OVER))
    running = select(Server, Session.notebook_id).outerjoin(Session, opened)
    named = (await db.exec(running.where(Server.seat == at[1], col(Server.state) != stopped))).all()
    # Every hub has seats of these names, each at addresses of its own.
    found = [(server, notebook_id) for server, notebook_id in named if _is_at(server.url, seat=at[1], host=host)]
    if len({server.id for server, _ in found}) != 1:
        raise Forbidden("No notebook is at this address.")
    may = read(found[0][0].may)
    require(method, at[2], may=may, notebooks=[notebook_id for _, notebook_id in found if notebook_id])


def require(method: str, path: str, *, may: Collection[Capability], notebooks: Collection[str]) -> None:
    """Return if who may do this may send a request to a server on which these notebooks are open.

    `path` is below the server's prefix, still percent-encoded. Raises `NotAllowed` or `Forbidden`.
    """
    plain = _decoded(path)
    missing = [capability for capability in EVERY_CAPABILITY if capability not in may]
    if not missing:
        return
    if plain.count("/") != path.count("/") or _NEVER_IN_A_PATH.search(plain):
        raise Forbidden("The address can be read in more than one way.")
    needs = _needs(method, plain.removesuffix("/"), notebooks)
    # A page that nobody has thought of is for those alone who may do everything.
    for capability in missing if needs is None else needs:
        if capability in missing:
            raise NotAllowed(capability)


def _needs(method: str, path: str, notebooks: Collection[str]) -> tuple[Capability, ...] | None:
    method = "GET" if method == "HEAD" else method
    if "//" in f"/{path}":
        return None
    for row in _TABLE:
        fits = re.fullmatch(row.path, path, re.ASCII)
        if fits and method in row.methods.split():
            named = [id for id in fits.groupdict().values() if id is not None]
            if all(id in notebooks for id in named):
                return row.needs
    return None


def _decoded(path: str) -> str:
    """Decode a path once. Raises `Forbidden` if it is no text, or leads out of where it begins."""
    try:
        plain = unquote(path, errors="strict")
    except UnicodeDecodeError as exc:
        raise Forbidden("The address is no text.") from exc
    if {".", ".."}.intersection(re.split(r"[/\\]", plain)):
        raise Forbidden("The address leads elsewhere.")
    return plain


def _has_token(query: str) -> bool:
    """Jupyter takes a hub token from an address, by this name."""
    return any(unquote_plus(one.partition("=")[0]).casefold() == "token" for one in re.split("[&;]", query))


def _is_at(url: str | None, *, seat: str, host: str) -> bool:
    parts = urlsplit(url or "")
    default = _DEFAULT_PORTS.get(parts.scheme, "")
    same_host = host.lower().removesuffix(default) == parts.netloc.lower().removesuffix(default)
    return bool(parts.netloc) and same_host and parts.path == f"/user/{seat}/"
