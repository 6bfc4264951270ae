"""The migrations make what the models say, out of whatever an earlier release has left."""

import random
import sqlite3
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
from sqlmodel import SQLModel

import inset.models  # noqa: F401  (fills SQLModel.metadata)
from inset.db import migrations, upgrade
from inset.store.blobs import name
from inset.store.compression import pack_hard
from inset.store.decoding import decode
from inset.store.skeletons import Written, write_skeleton
from inset.store.splitting import skeleton, split

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


def test_bodies_in_pieces_are_whole_again_for_the_release_before(tmp_path: Path) -> None:
    file = tmp_path / "pieces.db"
    upgrade(_url(file))
    time = "2026-01-02 03:04:05.000000"
    image = random.Random(1).randbytes(3000).hex().encode()
    contents = [b'{\n "a": "%s",\n "n": %d\n}\n' % (image, number) for number in range(3)]
    parts = [split(content) for content in contents]
    key = name(parts[0].pieces[0], b"secret")
    texts = [skeleton(part, [key]) for part in parts]
    packed = decode(image)
    bodies = [
        ("n1", 1, contents[0], "whole", None),
        ("n1", 2, *_row(write_skeleton(texts[1], None))),
        ("n1", 3, *_row(write_skeleton(texts[2], (2, texts[1])))),
    ]
    database = sqlite3.connect(file)
    with database:
        database.execute(
            "INSERT INTO hosts (id, origins, keys, limits, may, store_key, updated_at) "
            "VALUES ('h', '', '', '', '', x'00', ?)",
            (time,),
        )
        database.execute("INSERT INTO notebooks VALUES ('n1', 'h', 'ada', 'Reach', 3, 3, ?, ?, NULL)", (time, time))
        database.executemany(
            "INSERT INTO bodies (notebook_id, number, content, format, base) VALUES (?, ?, ?, ?, ?)", bodies
        )
        database.execute(
            "INSERT INTO blobs VALUES ('h', ?, 'decoded', ?, ?)", (key, len(image), pack_hard(packed or b""))
        )
        database.execute("INSERT INTO blob_uses VALUES ('n1', 'h', ?)", (key,))
    database.close()

    command.downgrade(migrations(_url(file)), "0004")

    database = sqlite3.connect(file)
    assert [content for (content,) in database.execute("SELECT content FROM bodies ORDER BY number")] == contents
    database.close()

    upgrade(_url(file))

    database = sqlite3.connect(file)
    assert database.execute("SELECT format, base FROM bodies").fetchall() == [("whole", None)] * 3
    assert [len(secret) for (secret,) in database.execute("SELECT store_key FROM hosts")] == [32]
    database.close()


def _row(written: Written) -> tuple[bytes, str, int | None]:
    return written.content, written.format, written.base


def test_every_migration_can_be_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "back.db"
    upgrade(_url(file))

    command.downgrade(migrations(_url(file)), "base")

    database = sqlite3.connect(file)
    left = database.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    database.close()
    assert left == [("alembic_version",)]
