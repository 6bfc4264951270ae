"""The migrations make what the models say, out of whatever an earlier release has left."""

import sqlite3
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
from sqlmodel import SQLModel

import inset.models  # noqa: F401  (fills SQLModel.metadata)
from inset.db import migrations, upgrade

_EVERYTHING = "edit run download terminals"


def _url(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


def test_the_migrations_make_the_tables_of_the_models(tmp_path: Path) -> None:
    upgrade(_url(tmp_path / "new.db"))

    engine = create_engine(f"sqlite:///{tmp_path}/new.db")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    engine.dispose()

    assert differences == []


def test_a_database_of_the_first_schema_is_upgraded_with_all_that_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    command.upgrade(migrations(_url(file)), "0001")
    time = "2026-01-02 03:04:05.000000"
    rows = {
        "hosts": ("grants", '["https://app.example"]', '[{"kid": "k", "alg": "HS256", "key": "secret"}]', time),
        "notebooks": ("n1", "grants", "ada", "Reach", 1, 1, time, time, None),
        "versions": ("n1", 1, None, "hash", 2, "api", "ada", 1, time),
        "bodies": ("n1", 1, b"{}"),
        "servers": ("v1", "grants", "ada", "seat-001", "running", "http://seat", time, time),
        "sessions": (
            "s1", "grants", "ada", "n1", "v1", "ready", 100, "Ready", None, None, None, 1, "work/n1/Reach.ipynb", 1,
            None, None, time, time, None,
        ),
        "session_events": (7, "s1", "ready", "{}", time),
    }  # fmt: skip
    database = sqlite3.connect(file)
    with database:
        for table, row in rows.items():
            database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    database.close()

    upgrade(_url(file))

    database = sqlite3.connect(file)
    for table, row in rows.items():
        (kept,) = database.execute(f"SELECT * FROM {table}").fetchall()
        assert set(row) <= set(kept), table
    assert database.execute("SELECT may, limits, jwks_url FROM hosts").fetchone() == (_EVERYTHING, "{}", None)
    assert database.execute("SELECT may FROM servers UNION ALL SELECT may FROM sessions").fetchall() == [
        (_EVERYTHING,),
        (_EVERYTHING,),
    ]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()


def test_versions_that_conflicts_had_kept_are_found_on_the_side(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    command.upgrade(migrations(_url(file)), "0003")
    time = "2026-01-02 03:04:05.000000"
    parents = {1: None, 2: 1, 3: 1, 4: 3, 5: 2}
    database = sqlite3.connect(file)
    with database:
        database.execute(
            "INSERT INTO notebooks VALUES ('n1', 'grants', 'ada', 'Reach', 5, 5, ?, ?, NULL)", (time, time)
        )
        for number, parent in parents.items():
            row = ("n1", number, parent, "hash", 2, "api", "ada", 1, time)
            database.execute(f"INSERT INTO versions VALUES ({', '.join('?' * len(row))})", row)
    database.close()

    upgrade(_url(file))

    database = sqlite3.connect(file)
    sides = dict(database.execute("SELECT number, aside FROM versions").fetchall())
    database.close()
    assert sides == {1: None, 2: None, 3: "open", 4: "open", 5: None}


def test_every_migration_can_be_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "back.db"
    upgrade(_url(file))

    command.downgrade(migrations(_url(file)), "base")

    database = sqlite3.connect(file)
    left = database.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    database.close()
    assert left == [("alembic_version",)]
