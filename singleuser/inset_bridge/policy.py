"""What a browser may ask of this server, by what its user may do.

Where the user may do everything, all but a few requests are allowed. Where he may not, only what a notebook's page
needs, and that is one table: a handler that is new or unknown is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from inset_bridge.files import is_notebook

EVERYTHING = frozenset({"edit", "run", "download", "terminals"})

_READ = frozenset({"GET", "HEAD"})
_WRITE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Rule:
    """One line of the table: these requests, for who may do all of `needs`."""

    methods: frozenset[str]
    path: str
    """A pattern for the path below the server's prefix, as it came: tornado chooses the handler before it decodes."""
    needs: frozenset[str] = frozenset()
    own: bool = False
    """Only for the notebooks of the browser's own sessions, and for folders: the group `path` names the file."""


def _rule(methods: Iterable[str], path: str, *needs: str, own: bool = False) -> Rule:
    return Rule(frozenset(methods), path, frozenset(needs), own)


_NEVER = re.compile(r"api/shutdown|inset/api/documents/.*")
"""The server's life, and what it shows, are the service's."""

_TABLE = (
    # The way in, and what the page and the bridge say to each other.
    _rule({"GET", "HEAD", "POST"}, r"inset/enter"),
    _rule(_READ, r"inset/probe|logout"),
    _rule({"POST"}, r"inset/api/absent"),
    _rule({"POST"}, r"inset/api/(flush|keep|leave)", "edit"),
    _rule({"GET"}, r"api/events/subscribe"),
    # Pages, what they are made of, and how they are set up.
    _rule(_READ, r"|lab|(tree|notebooks|edit|consoles|doc|lab/tree|lab/workspaces)(/.*)?"),
    _rule(_READ, r"(static|custom|kernelspecs|lab/static|lab/extensions)/.*"),
    _rule(_READ, r"lab/api/(extensions|licenses|listings|plugins|settings|themes|translations|workspaces)(/.*)?"),
    _rule(_WRITE, r"lab/api/(settings|workspaces)(/.*)?", "edit"),
    _rule(_READ, r"api|api/(me|status|nbconvert|resolvePath)|api/(kernelspecs|config)(/.*)?"),
    # The notebook, and with `download` every file.
    _rule(_READ, r"api/contents/?(?P<path>.*?)(/checkpoints)?", own=True),
    _rule(_READ, r"api/contents(/.*)?|(files|view)/.*", "download"),
    _rule({"PUT", "PATCH"}, r"api/contents/(?P<path>.*)", "edit", own=True),
    _rule({"POST"}, r"api/contents/(?P<path>.*)/(trust|checkpoints(/[\w-]+)?)", "edit", own=True),
    _rule(_WRITE, r"api/contents(/.*)?", "edit", "download"),
    # An exporter can run more than it says: TeX, or a browser of its own.
    _rule(_READ, r"nbconvert/.*", "download", "run"),
    # Code.
    _rule(_READ, r"api/(kernels|sessions)(/[\w-]+)?"),
    _rule(_READ | _WRITE, r"api/(kernels|sessions)(/.*)?", "run"),
    _rule(_READ | _WRITE, r"api/terminals(/.*)?|terminals/.*", "run", "terminals"),
)
_RULES = tuple((rule, re.compile(rule.path)) for rule in _TABLE)


@dataclass(frozen=True)
class Verdict:
    """Whether a request is allowed: at once, or if what it names is the user's own."""

    allowed: bool
    own: tuple[str, ...] = ()
    """Paths of which one has to be a notebook of the browser's sessions, or a folder that is only looked into."""


def judge(method: str, path: str, may: frozenset[str]) -> Verdict:
    """Judge a request by the table; `path` is below the server's prefix, not decoded."""
    if _NEVER.fullmatch(path):
        return Verdict(False)
    if may >= EVERYTHING:
        return Verdict(True)
    found = [
        (rule, match)
        for rule, pattern in _RULES
        if method in rule.methods and rule.needs <= may and (match := pattern.fullmatch(path))
    ]
    if any(not rule.own for rule, _ in found):
        return Verdict(True)
    return Verdict(False, tuple(unquote(match["path"]) for _, match in found))


def is_own(path: str, notebook_ids: Iterable[str]) -> bool:
    """Whether a contents path is a notebook in the folder of one of these: `work/<notebook id>/…`."""
    parts = PurePosixPath(path.strip("/")).parts
    return is_notebook(path) and parts[:1] == ("work",) and parts[1:2] != () and parts[1] in set(notebook_ids)
