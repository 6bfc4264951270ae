"""`inset db`: a database is upgraded, checked, and moves from one kind to the other without losing anything."""

import asyncio
import stat

import pytest
from backports import zstd
from sqlalchemy import text

from inset.cli import main
from inset.db import open_database
from inset.events import tell
from inset.models import Session
from tests.service.conftest import document
from tests.support.databases import KINDS
from tests.support.rows import everything, fill


@pytest.fixture
def db_command(monkeypatch, capsys, tmp_path):
    """Run `inset db …` on a database; gives exit code, output and errors."""
    monkeypatch.setenv("INSET_PUBLIC_URL", "http://localhost")
    monkeypatch.setenv("INSET_SIGNING_KEY_FILE", str(tmp_path / "unused.pem"))
    monkeypatch.setenv("INSET_HUB__TOKEN", "unused")

    async def run(url, *arguments):
        monkeypatch.setenv("INSET_DATABASE_URL", url)
        code = await asyncio.to_thread(main, ["db", *map(str, arguments)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture
async def three(databases, tmp_path):
    """Migrated databases: SQLite, PostgreSQL, and SQLite once more."""
    for name in ("first", "third"):
        (tmp_path / name).mkdir()
    async with (
        databases.migrated("sqlite", tmp_path / "first") as first,
        databases.migrated("postgresql", tmp_path) as second,
        databases.migrated("sqlite", tmp_path / "third") as third,
    ):
        yield first, second, third


async def _execute(url, *statements):
    async with open_database(url) as database, database.transaction() as db:
        for statement in statements:
            await db.exec(text(statement))


async def test_a_database_moves_from_sqlite_to_postgresql_and_back_and_compares_equal(three, db_command, tmp_path):
    first, second, third = three
    await fill(first)
    filled = await everything(first)
    assert all(filled.values())

    assert (await db_command(first, "export", tmp_path / "1"))[0] == 0
    assert (await db_command(second, "import", tmp_path / "1"))[0] == 0
    assert await everything(second) == filled
    assert (await db_command(second, "export", tmp_path / "2"))[0] == 0
    assert (await db_command(third, "import", tmp_path / "2"))[0] == 0
    assert await everything(third) == filled


async def test_ids_go_on_from_the_last_one_that_was_given(three, db_command, tmp_path):
    first, second, third = three
    await fill(first)
    # The events of a week ago are swept; their ids must not be given again, for a page may still know them.
    await _execute(first, "DELETE FROM session_events")
    for source, target, file in ((first, second, "1"), (second, third, "2")):
        await db_command(source, "export", tmp_path / file)
        await db_command(target, "import", tmp_path / file)
        async with open_database(target) as database, database.transaction() as db:
            [session_id] = (await db.exec(text("SELECT id FROM sessions LIMIT 1"))).one()
            tell(db, (await db.get_one(Session, session_id)).id, "progress")
    async with open_database(third) as database, database.transaction(read_only=True) as db:
        assert {one.id for one in await db.exec(text("SELECT id FROM session_events"))} == {9, 10}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_file_is_read_whole_or_not_at_all(databases, kind, db_command, tmp_path):
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    export, damaged = tmp_path / "export", tmp_path / "damaged"
    async with (
        databases.migrated("sqlite", tmp_path / "source") as source,
        databases.migrated(kind, tmp_path / "target") as target,
    ):
        await fill(source)
        await db_command(source, "export", export)
        whole, plain = export.read_bytes(), zstd.decompress(export.read_bytes())
        last = plain[:-1].rindex(b"\n") + 1
        newer = plain.replace(b'"schema":"', b'"schema":"9', 1)
        flipped = whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :]
        for content, reason in (
            (whole[: len(whole) // 2], "damaged"),
            (flipped, "damaged"),
            (zstd.compress(plain[:last]), "damaged"),
            (zstd.compress(plain + b"x"), "damaged"),
            (zstd.compress(newer), "schema"),
            (b"something else", "damaged"),
            (zstd.compress(b'{"format":"x"}\n'), "damaged"),
            (b"", "damaged"),
        ):
            damaged.write_bytes(content)

            code, _, told = await db_command(target, "import", damaged)

            assert (code, told.count("\n")) == (2, 1), told
            assert reason in told
            assert not any((await everything(target)).values())
        assert (await db_command(target, "import", export))[0] == 0
        code, _, told = await db_command(target, "import", export)
        assert (code, "not empty" in told) == (2, True)


async def test_an_export_is_for_its_owner_alone_and_replaces_nothing_by_itself(three, db_command, tmp_path):
    file = tmp_path / "export"

    _, told, _ = await db_command(three[0], "export", file)
    first = file.read_bytes()
    code, _, refused = await db_command(three[0], "export", file)

    assert "secrets" in told
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (code, "exists" in refused) == (2, True)
    assert file.read_bytes() == first
    assert (await db_command(three[0], "export", "--overwrite", file))[0] == 0
    assert file.read_bytes() != first
    assert [path.name for path in tmp_path.glob(".*.part")] == []


async def test_an_export_that_fails_leaves_no_file(three, db_command, tmp_path):
    await _execute(three[0], "DROP TABLE bodies")

    code, _, _ = await db_command(three[0], "export", tmp_path / "export")

    assert code == 2
    assert not list(tmp_path.glob("*export*"))


@pytest.mark.each_database
async def test_a_database_that_is_as_it_should_be_passes_the_check(client, settings, new_notebook, db_command):
    notebook = await new_notebook()
    path = f"/v1/notebooks/{notebook['id']}/content"
    for content in (document("2"), document("on the side")):
        await client.put(path, json=content, headers={"If-Match": '"1"'})

    code, told, _ = await db_command(settings.database_url, "check")

    assert (code, told) == (0, "All is as it should be.\n")


@pytest.mark.each_database
async def test_the_check_names_everything_that_is_damaged(client, settings, new_notebook, db_command):
    ids = [(await new_notebook())["id"] for _ in range(6)]
    changed, cut, lost, ahead, nowhere, younger = ids
    await _execute(
        settings.database_url,
        f"UPDATE versions SET sha256 = 'x' WHERE notebook_id = '{changed}'",
        f"UPDATE versions SET size = 1 WHERE notebook_id = '{cut}'",
        f"DELETE FROM bodies WHERE notebook_id = '{lost}'",
        f"UPDATE notebooks SET last_number = 0 WHERE id = '{ahead}'",
        f"UPDATE notebooks SET current = 9 WHERE id = '{nowhere}'",
        f"UPDATE versions SET parent = 1 WHERE notebook_id = '{younger}'",
    )

    code, told, _ = await db_command(settings.database_url, "check")

    assert code == 1
    wrong = told.splitlines()
    assert wrong.pop() == "6 findings"
    named = ("is damaged", "bytes instead of 1", "not there", "counter is at 0", "current version 9", "parent 1")
    for id, words in zip(ids, named, strict=True):
        [line] = [line for line in wrong if id in line]
        assert words in line


async def test_the_check_finds_rows_that_refer_to_nothing(three, db_command):
    await fill(three[0])
    async with open_database(three[0]) as database, database.transaction() as db:
        connection = await db.connection()
        raw = (await connection.get_raw_connection()).driver_connection
        await raw.rollback()
        # What SQLite keeps out unless it is told not to look, which it can't be within a transaction.
        await raw.execute("PRAGMA foreign_keys = OFF")
        await raw.execute("DELETE FROM servers")
        await raw.execute("PRAGMA foreign_keys = ON")

    code, told, _ = await db_command(three[0], "check")

    assert code == 1
    assert "sessions: 1 rows refer to a servers.id that is not there" in told


@pytest.mark.parametrize(
    "subcommand",
    [
        ["db", "check"],
        ["db", "pack"],
        ["db", "export", "file"],
        ["db", "import", "file"],
        ["versions", "thin"],
        ["notebooks", "purge"],
    ],
    ids=" ".join,
)
async def test_a_database_of_another_schema_is_left_alone(
    db_command, databases, tmp_path, subcommand, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    async with databases.empty("postgresql", tmp_path) as url:
        monkeypatch.setenv("INSET_DATABASE_URL", url)
        code = await asyncio.to_thread(main, subcommand)

        assert (code, "inset db upgrade" in capsys.readouterr().err) == (2, True)
        assert (await db_command(url, "upgrade"))[0] == 0
        assert (await db_command(url, "check"))[:2] == (0, "All is as it should be.\n")
