"""The migrations make what the models say, out of whatever an earlier release has left, on either database."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlmodel import SQLModel

import inset.models  # noqa: F401  (fills SQLModel.metadata)
from inset.db import open_database
from inset.engines import new_engine
from inset.schema import migrations, newest_schema, older_schemas, upgrade
from tests.support.databases import KINDS, Databases
from tests.support.rows import everything, fill

_EVERYTHING = "edit run download terminals"
_TIME = "2026-01-02 03:04:05+00"
_TIMES = ("created_at", "updated_at", "checked_at", "ready_at")

FIRST_RELEASE: dict[str, dict[str, Any]] = {
    "hosts": {"id": "grants", "origins": '["https://app.example"]', "keys": '[{"kid": "k", "alg": "HS256"}]'},
    "notebooks": {"id": "n1", "host_id": "grants", "owner": "ada", "name": "Reach", "current": 1, "last_number": 1},
    "versions": {
        "notebook_id": "n1", "number": 1, "sha256": "hash", "size": 2, "origin": "api", "author": "ada", "valid": True,
    },
    "bodies": {"notebook_id": "n1", "number": 1, "content": b"{}"},
    "servers": {
        "id": "v1", "host_id": "grants", "owner": "ada", "seat": "seat-001", "state": "running", "url": "http://seat",
    },
    "sessions": {
        "id": "s1", "host_id": "grants", "owner": "ada", "notebook_id": "n1", "server_id": "v1", "state": "ready",
        "percent": 100, "message": "Ready", "embeddable": True, "path": "work/n1/Reach.ipynb", "version": 1,
    },
    "session_events": {"id": 7, "session_id": "s1", "kind": "ready", "data": "{}"},
    "idempotency_keys": {"caller": "c", "route": "r", "key": "k", "fingerprint": "f", "answer": "{}"},
    "used_tickets": {"jti": "j"},
}  # fmt: skip
"""A row of each table of the first schema."""

_ITS_TIMES = {
    "hosts": ["updated_at"], "notebooks": ["created_at", "updated_at"], "versions": ["created_at"],
    "servers": ["created_at", "checked_at"], "sessions": ["created_at", "ready_at"], "session_events": ["created_at"],
    "idempotency_keys": ["created_at"], "used_tickets": ["expires_at"],
}  # fmt: skip


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> AsyncIterator[str]:
    """A database without a table."""
    async with databases.empty(request.param, tmp_path) as url:
        yield url


def test_the_schemas_are_those_that_the_migrations_make() -> None:
    newest, *older = (script.revision for script in ScriptDirectory.from_config(migrations("")).walk_revisions())
    assert (newest_schema(), older_schemas()) == (newest, set(older))


async def _migrate(url: str, revision: str) -> None:
    change = command.downgrade if revision == "base" else command.upgrade
    await asyncio.to_thread(change, migrations(url), revision)


async def _insert(url: str, table: str, row: dict[str, Any]) -> None:
    async with open_database(url) as database, database.transaction() as db:
        columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
        literal = ", ".join(f"'{_TIME}'" for _ in _ITS_TIMES.get(table, []))
        names = ", ".join(_ITS_TIMES.get(table, []))
        more = (f", {names}", f", {literal}") if names else ("", "")
        statement = f"INSERT INTO {table} ({columns}{more[0]}) VALUES ({values}{more[1]})"
        await db.exec(text(statement), params=row)  # type: ignore[call-overload]


async def _rows(url: str, statement: str) -> list[dict[str, Any]]:
    async with open_database(url) as database, database.transaction(read_only=True) as db:
        return [dict(row) for row in (await db.exec(text(statement))).mappings()]  # type: ignore[call-overload]


async def test_the_migrations_make_the_tables_of_the_models(url: str) -> None:
    await asyncio.to_thread(upgrade, url)

    engine = new_engine(url)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), SQLModel.metadata)
        )
    await engine.dispose()

    assert differences == []


async def test_a_database_of_the_first_schema_is_upgraded_with_all_that_is_in_it(url: str) -> None:
    await _migrate(url, "0001")
    for table, row in FIRST_RELEASE.items():
        await _insert(url, table, row)
    before = {table: await _rows(url, f"SELECT * FROM {table}") for table in FIRST_RELEASE}

    await asyncio.to_thread(upgrade, url)

    for table, [row] in before.items():
        [kept] = await _rows(url, f"SELECT * FROM {table}")
        assert {name: kept[name] for name in row} == row, table
    # And as the models read it.
    read = await everything(url)
    assert {table for table, rows in read.items() if rows} == set(FIRST_RELEASE)
    [host] = await _rows(url, "SELECT may, jwks_url FROM hosts")
    assert host == {"may": _EVERYTHING, "jwks_url": None}
    for table in ("servers", "sessions"):
        assert await _rows(url, f"SELECT may FROM {table}") == [{"may": _EVERYTHING}]


async def test_versions_that_conflicts_had_kept_are_found_on_the_side(url: str) -> None:
    await _migrate(url, "0003")
    await _insert(url, "hosts", {**FIRST_RELEASE["hosts"], "limits": "{}", "may": _EVERYTHING})
    await _insert(url, "notebooks", {**FIRST_RELEASE["notebooks"], "current": 5, "last_number": 5})
    for number, parent in {1: None, 2: 1, 3: 1, 4: 3, 5: 2}.items():
        await _insert(url, "versions", {**FIRST_RELEASE["versions"], "number": number, "parent": parent})

    await asyncio.to_thread(upgrade, url)

    sides = {row["number"]: row["aside"] for row in await _rows(url, "SELECT number, aside FROM versions")}
    assert sides == {1: None, 2: None, 3: "open", 4: "open", 5: None}


async def test_every_migration_can_be_taken_back_whatever_is_in_the_tables(url: str) -> None:
    await asyncio.to_thread(upgrade, url)
    await fill(url)

    await _migrate(url, "0001")

    [kept] = await _rows(url, "SELECT * FROM bodies WHERE number = 8")
    assert len(kept["content"]) > 300_000
    await asyncio.to_thread(upgrade, url)
    assert len((await everything(url))["session_events"]) == 2
    await _migrate(url, "base")
    engine = new_engine(url)
    async with engine.connect() as connection:
        left = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()
    assert left == ["alembic_version"]


async def test_replicas_may_upgrade_at_once_when_they_start(databases: Databases, tmp_path: Path) -> None:
    async with databases.empty("postgresql", tmp_path) as url:
        environment = {
            **os.environ,
            "INSET_DATABASE_URL": url,
            "INSET_PUBLIC_URL": "http://localhost",
            "INSET_SIGNING_KEY_FILE": "unused",
            "INSET_HUB__TOKEN": "unused",
        }
        upgrades = [
            await asyncio.create_subprocess_exec(sys.executable, "-m", "inset", "db", "upgrade", env=environment)
            for _ in range(2)
        ]

        assert [await upgrade.wait() for upgrade in upgrades] == [0, 0]
        assert (await everything(url))["hosts"] == []
