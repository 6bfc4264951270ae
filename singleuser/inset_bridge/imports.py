"""What a server's start leaves out, of all that JupyterHub and JupyterLab import and do at theirs.

For a process that is a server, and nothing else.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_THE_HUBS = ("jupyterhub.handlers", "jupyterhub.handlers.pages", "jupyterhub.orm", "sqlalchemy", "sqlalchemy.exc")


class _StandIn(ModuleType):
    """A module with each name that is asked for: a class of which nothing is an instance, and which nobody raises."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []  # as a package, whose modules are here, too

    def __getattr__(self, name: str) -> type[Exception]:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})


@contextmanager
def without_the_hub() -> Iterator[None]:
    """Import in this block what needs JupyterHub, without the hub itself.

    JupyterHub's logging asks for a class of the hub's pages, to be silent about those who ask for its health. With that
    come the hub's handlers, the tables of its database, SQLAlchemy and Alembic: half of all that a start imports, and
    33 MB (JupyterHub 6.1). Whoever asks for SQLAlchemy after the block gets it; what of JupyterHub was imported in it
    keeps the stand-ins, and is of no use to a hub.
    """
    absent = [name for name in _THE_HUBS if name not in sys.modules]
    sys.modules |= {name: _StandIn(name) for name in absent}
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def without_yarn() -> None:
    """Have JupyterLab not ask Yarn for npm's registry, which it does while it is imported, wherever there is Node.

    Only what builds JupyterLab asks for that (JupyterLab 4.6).
    """
    from jupyterlab import commands  # type: ignore[import-untyped]

    commands._yarn_config = lambda logger: {"yarn config": {}, "npm config": {}}


@contextmanager
def uncollected() -> Iterator[None]:
    """Import in this block what stays: the collector would look through all of it again and again, then and later."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
