"""Migrated, empty databases for tests, on SQLite and on PostgreSQL: each a copy of one that was migrated once."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from inset.schema import upgrade
from tests.support.postgres import PostgresServer

KINDS = ("sqlite", "postgresql")


class Databases:
    """Makes databases as they are asked for. The server starts with the first that needs it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: PostgresServer | None = None
        self._templates: dict[str, str] = {}

    @property
    def server(self) -> PostgresServer:
        """The PostgreSQL server of this test run."""
        if self._server is None:
            self._server = PostgresServer()
            self._server.start()
        return self._server

    @asynccontextmanager
    async def migrated(self, kind: str, folder: Path) -> AsyncIterator[str]:
        """Give the URL of a database at the newest schema; a file of it lies in `folder`."""
        if kind == "sqlite":
            shutil.copy(await self._sqlite_template(), folder / "inset.db")
            yield f"sqlite:///{folder}/inset.db"
            return
        database = await self.server.create(await self._postgres_template())
        yield self.server.url(database)
        await self.server.drop(database)

    @asynccontextmanager
    async def empty(self, kind: str, folder: Path) -> AsyncIterator[str]:
        """Give the URL of a database without a table."""
        if kind == "sqlite":
            yield f"sqlite:///{folder}/empty.db"
            return
        database = await self.server.create()
        yield self.server.url(database)
        await self.server.drop(database)

    def close(self) -> None:
        """Stop the server."""
        if self._server:
            self._server.stop()

    async def _sqlite_template(self) -> str:
        if "sqlite" not in self._templates:
            self._templates["sqlite"] = str(self._folder / "template.db")
            await asyncio.to_thread(upgrade, f"sqlite:///{self._templates['sqlite']}")
        return self._templates["sqlite"]

    async def _postgres_template(self) -> str:
        if "postgresql" not in self._templates:
            database = await self.server.create()
            await asyncio.to_thread(upgrade, self.server.url(database))
            self._templates["postgresql"] = database
        return self._templates["postgresql"]


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """What makes databases for this test run."""
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.close()


@pytest.fixture
def database_kind() -> str:
    """On what a test runs that is not marked to run on each kind."""
    return "sqlite"


def run_on_each(metafunc: pytest.Metafunc) -> None:
    """Have a test that is marked `each_database` run once on each kind. For `pytest_generate_tests`."""
    marker = metafunc.definition.get_closest_marker("each_database")
    if marker and "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", marker.args or KINDS)
