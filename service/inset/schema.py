"""The database's schema: at which one it is, and how it is brought to the newest."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from inset.engines import make_folder, new_engine
from inset.settings import DatabaseSettings

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).with_name("migrations")


def upgrade(url: str) -> None:
    """Bring a database to the newest schema; one that is a file is created if it does not exist."""
    from alembic import command  # here, since it is a tenth of every other start

    make_folder(url)
    command.upgrade(migrations(url), "head")


def migrations(url: str) -> "Config":
    """Give Alembic's configuration for a database."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["url"] = url
    return config


async def require_upgraded(url: str) -> None:
    """Raise `ValueError` if a database is not at the newest schema."""
    engine = new_engine(url, DatabaseSettings())
    try:
        async with engine.connect() as connection:
            found = await connection.run_sync(_schema)
    finally:
        await engine.dispose()
    if found != newest_schema():
        raise ValueError("the database is not at the newest schema: run `inset db upgrade` first")


def _schema(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def newest_schema() -> str:
    """Name the newest schema."""
    return _schemas()[-1]


def older_schemas() -> set[str]:
    """Name the schemas that this release replaces by its own."""
    return set(_schemas()[:-1])


def _schemas() -> list[str]:
    """Name all schemas, the oldest first: each migration's file begins with the name of the one it makes."""
    return sorted(file.name.split("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))
