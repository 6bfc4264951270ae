"""Encryption at rest: what lies in the database tells nothing, and keys are changed while everybody goes on."""

import asyncio
import base64
import random
import stat
import subprocess

import nbformat
import pytest
from alembic import command as alembic
from backports.zstd import ZstdError
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select, update

from inset.cli import main
from inset.db import open_database
from inset.encryption import DataKey, MasterKeys, Sealed, encryption_of, new_key
from inset.models import Blob, BlobBase, Body, DataKeyRow, Host
from inset.schema import migrations
from inset.store.compression import unpack
from inset.store.garbage import remove_unused_blobs, remove_versions
from tests.service.conftest import document, problem, running_service

CANARY = "the canary sings at 5e1f7c0a"
IMAGE = random.Random(1).randbytes(30_000)
ZSTD = b"\x28\xb5\x2f\xfd"


def _notebook(step: int = 0, *, image: bytes = IMAGE) -> dict:
    made = document(f"{CANARY} {step}", CANARY * 300)
    picture = {"image/png": base64.b64encode(image).decode(), "text/plain": CANARY}
    made["cells"][0]["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": picture}]
    return made


def _bytes(notebook: dict) -> bytes:
    return (nbformat.writes(nbformat.from_dict(notebook)) + "\n").encode()


@pytest.fixture
def recent_documents() -> str:
    return "0"


@pytest.fixture
def plain(settings):
    """The settings without encryption."""
    return settings.model_copy(update={"master_key_file": None})


@pytest.fixture
def master(tmp_path):
    file = tmp_path / "master.keys"
    assert main(["keygen", "--master", str(file)]) == 0
    return file


@pytest.fixture
def settings(settings, master):
    return settings.model_copy(update={"master_key_file": master})


@pytest.fixture
def run(command, settings, monkeypatch):
    """Run `inset …` with the master keys."""
    monkeypatch.setenv("INSET_MASTER_KEY_FILE", str(settings.master_key_file))
    return command


@pytest.fixture
async def database(settings):
    async with open_database(settings.database_url, encryption=encryption_of(settings)) as database:
        yield database


async def _all(database, *what):
    async with database.transaction(read_only=True) as db:
        return (await db.exec(select(*what))).all()


async def _create(client, content):
    answer = await client.post("/v1/notebooks", json={"name": "N", "content": content})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def _save(client, id, notebook, base):
    saving = client.put(f"/v1/notebooks/{id}/content", content=_bytes(notebook), headers={"If-Match": f'"{base}"'})
    answer = await saving
    assert answer.status_code == 200, answer.text
    return answer.json()["version"]


async def _content(client, id, number):
    return await client.get(f"/v1/notebooks/{id}/versions/{number}/content")


async def _history(client, versions, *, step=0):
    id = await _create(client, _notebook(step))
    for number in range(1, versions):
        await _save(client, id, _notebook(step + number), number)
    return id


async def _assert_reads(client, id, versions, *, step=0):
    for number in range(1, versions + 1):
        assert (await _content(client, id, number)).content == _bytes(_notebook(step + number - 1))


def _file(settings) -> bytes:
    # By another process: closing a file of SQLite's in this one would let go the locks that the service has on it.
    name = settings.database_url.split("///")[1]
    return subprocess.run(["cat", name, f"{name}-wal"], capture_output=True, check=False).stdout


def _told_by(raw: bytes) -> list[str]:
    """Name what somebody who reads the file finds."""
    secrets = {
        "text": CANARY.encode(),
        "text in base64": base64.b64encode(CANARY.encode()[:27]),
        "image": IMAGE[:40],
        "image in base64": base64.b64encode(IMAGE)[:60],
        "image within": IMAGE[15_000:15_040],
        "something that can be unpacked": ZSTD,
    }
    return [name for name, secret in secrets.items() if secret in raw]


async def _keys_of_rows(database):
    return {*await _all(database, Body.data_key), *await _all(database, Blob.data_key)}


@given(st.binary(max_size=2000), st.lists(st.text(max_size=5), max_size=3))
def test_what_is_encrypted_comes_back_in_its_own_place_alone(content, place):
    key = DataKey("k1", "demo", new_key())

    sealed = key.seal(content, tuple(place))

    assert key.open(sealed, tuple(place)) == content
    assert key.seal(content, tuple(place)) != sealed
    for other, elsewhere in (
        (key, (*place, "")),
        (DataKey("k2", "demo", key.secret), place),
        (DataKey("k1", "other", key.secret), place),
        (DataKey("k1", "demo", new_key()), place),
    ):
        with pytest.raises(Sealed):
            other.open(sealed, tuple(elsewhere))
    for damaged in (sealed[:-1], sealed[1:], sealed + b"\0", b"", bytes([sealed[0] ^ 1]) + sealed[1:]):
        with pytest.raises(Sealed):
            key.open(damaged, tuple(place))


def test_a_file_of_master_keys_is_for_its_owner_and_grows_in_front(master):
    first = MasterKeys(master).newest

    assert stat.S_IMODE(master.stat().st_mode) == 0o600
    assert main(["keygen", "--master", str(master)]) == 0

    grown = MasterKeys(master)
    assert stat.S_IMODE(master.stat().st_mode) == 0o600
    assert grown.newest != first
    assert grown.holds(first)


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----", "c2hvcnQ="])
async def test_a_file_that_holds_no_master_keys_is_told_in_one_line(run, master, content):
    master.write_text(content)

    code, _, told = await run("serve")

    assert (code, told.count("\n")) == (2, 1)
    assert "keygen --master" in told
    assert main(["keygen", "--master", str(master)]) == (0 if content == "" else 2)


async def test_nothing_of_a_notebook_is_found_in_the_file(settings, plain, hub, host):
    async with running_service(plain, hub, **host.bearer()) as client:
        await _history(client, 1)
        assert "something that can be unpacked" in _told_by(_file(settings))


async def test_nothing_of_an_encrypted_notebook_is_found_in_the_file(client, settings, database, run):
    id = await _history(client, 3)

    assert _told_by(_file(settings)) == []
    assert None not in await _keys_of_rows(database)
    for content in [*await _all(database, Body.content), *await _all(database, Blob.content)]:
        with pytest.raises(ZstdError):
            unpack(content)
    assert (await run("db", "pack"))[0] == 0
    assert _told_by(_file(settings)) == []
    await _assert_reads(client, id, 3)


@pytest.mark.each_database
@pytest.mark.parametrize("table", [Body, Blob])
async def test_encrypted_content_that_was_put_in_another_place_is_refused(client, database, caplog, table):
    ids = [await _create(client, _notebook(step, image=random.Random(step).randbytes(9000))) for step in (1, 2)]
    async with database.transaction() as db:
        one, two = (await db.exec(select(table).where(col(table.format) == "quick").limit(2))).all()
        one.content, two.content = two.content, one.content

    answers = [await _content(client, id, 1) for id in ids]

    assert "content-damaged" in [problem(answer) for answer in answers if answer.status_code != 200]
    # Not only by the hash of the version, which who can write to the database could change as well.
    assert "it is not what was encrypted in this place" in caplog.text


@pytest.mark.each_database
async def test_another_hosts_content_is_not_read_with_its_own_key(client, database, caplog, host, other_host):
    await _create(client, _notebook())
    client.headers.update(other_host.bearer())
    other = await _create(client, _notebook())
    async with database.transaction() as db:
        mine, theirs = [
            (await db.exec(select(Blob).where(Blob.host_id == id).order_by(col(Blob.size)).limit(1))).one()
            for id in (host.id, other_host.id)
        ]
        theirs.content, theirs.data_key = mine.content, mine.data_key

    assert problem(await _content(client, other, 1)) == "content-damaged"
    assert "it is not what was encrypted in this place" in caplog.text


@pytest.mark.each_database
async def test_an_encrypted_store_is_packed_and_thinned_and_nothing_is_lost(client, database, run):
    id = await _history(client, 6)
    other = await _create(client, _notebook(9, image=random.Random(7).randbytes(20_000)))
    before = await _all(database, Blob.key)

    assert (await run("db", "pack"))[0] == 0
    async with database.transaction() as db:
        await remove_versions(db, id, [2, 3])
        await remove_versions(db, other, [1])
    assert (await remove_unused_blobs(database))[0] > 0

    assert {"packed", "patch"} <= set(await _all(database, Body.format))
    assert "decoded" in await _all(database, Blob.format)
    assert len(await _all(database, Blob.key)) < len(before)
    for number in (1, 4, 5, 6):
        assert (await _content(client, id, number)).content == _bytes(_notebook(number - 1))
    assert None not in await _keys_of_rows(database)


@pytest.mark.each_database
async def test_outputs_that_stand_on_others_are_encrypted_in_their_places_and_change_keys(client, database, run):
    states = [_notebook(step, image=IMAGE[:-900] + random.Random(step).randbytes(900)) for step in range(4)]
    id = await _create(client, states[0])
    for base, state in enumerate(states[1:], start=1):
        await _save(client, id, state, base)

    async def reads() -> list[bytes]:
        return [(await _content(client, id, number)).content for number in (1, 2, 3, 4)]

    assert (await run("db", "pack"))[0] == 0
    bases = dict(await _all(database, BlobBase.key, BlobBase.base))
    assert len(bases) == 3
    assert await reads() == list(map(_bytes, states))
    [before] = set(await _all(database, Blob.data_key))
    assert (await run("db", "new-key", "demo"))[0] == 0
    assert (await run("db", "encrypt"))[0] == 0
    assert before not in set(await _all(database, Blob.data_key))
    assert await reads() == list(map(_bytes, states))
    assert (await run("db", "check"))[0] == 0

    [top] = bases.keys() - set(bases.values())
    async with database.transaction() as db:
        [bottom] = set(bases.values()) - bases.keys()
        await db.exec(update(BlobBase).where(col(BlobBase.key) == top).values(base=bottom))

    assert problem(await _content(client, id, 4)) == "content-damaged"


@pytest.mark.each_database
async def test_a_store_is_encrypted_while_it_is_used_and_left_again(settings, plain, hub, host, run, database):
    async with running_service(plain, hub, **host.bearer()) as old:
        id = await _history(old, 3)
    hesitant = settings.model_copy(update={"encrypt": False})
    async with (
        running_service(hesitant, hub, **host.bearer()) as one,
        running_service(settings, hub, **host.bearer()) as two,
    ):
        await _assert_reads(two, id, 3)
        await _save(two, id, _notebook(3), 3)
        await _assert_reads(one, id, 4)
        assert None in await _keys_of_rows(database)

        code, told, _ = await run("db", "encrypt")
        assert code == 0, told
        assert None not in await _keys_of_rows(database)
        assert all(len(key) > 32 for key in await _all(database, Host.store_key))
        await _assert_reads(one, id, 4)
        assert "encrypted 0 bodies and 0 blobs" in (await run("db", "encrypt"))[1]
        await _save(one, id, _notebook(4), 4)
    code, told, refused = await run("db", "decrypt")
    assert (code, "INSET_ENCRYPT=0" in refused) == (2, True)


@pytest.mark.each_database
async def test_whoever_leaves_needs_no_key_any_more(settings, plain, hub, host, run, database, monkeypatch):
    async with running_service(settings, hub, **host.bearer()) as client:
        id = await _history(client, 3)
        await run("db", "encrypt")
        await run("db", "pack")
    with pytest.raises(ValueError, match="inset db decrypt"):
        await asyncio.to_thread(alembic.downgrade, migrations(settings.database_url), "0006")
    monkeypatch.setenv("INSET_ENCRYPT", "0")

    code, told, _ = await run("db", "decrypt")

    assert (code, "removed 1 keys" in told or "removed 2 keys" in told) == (0, True), told
    assert await _keys_of_rows(database) == {None}
    assert await _all(database, DataKeyRow.id) == []
    assert {len(key) for key in await _all(database, Host.store_key)} == {32}
    async with running_service(plain, hub, **host.bearer()) as client:
        await _assert_reads(client, id, 3)
        await _save(client, id, _notebook(3), 3)
    await asyncio.to_thread(alembic.downgrade, migrations(settings.database_url), "0006")


async def test_what_was_in_the_clear_is_gone_from_the_file_after_encrypting(settings, plain, hub, host, run):
    async with running_service(plain, hub, **host.bearer()) as client:
        await _history(client, 3)
    assert _told_by(_file(settings))

    assert (await run("db", "encrypt"))[0] == 0

    assert _told_by(_file(settings)) == []


@pytest.mark.each_database
async def test_every_key_is_changed_beside_live_saves_and_nobody_notices(settings, hub, host, run, database, master):
    stop, stored = asyncio.Event(), {}

    async def go_on_saving(id, replicas, step):
        number = 1
        while not stop.is_set() or number < 6:
            writer, reader = replicas[number % 2], replicas[(number + 1) % 2]
            notebook = _notebook(step + number, image=random.Random(number).randbytes(5000))
            number = await _save(writer, id, notebook, number)
            stored[id, number] = _bytes(notebook)
            answer = await _content(reader, id, number)
            assert (answer.status_code, answer.content) == (200, stored[id, number])
            old = await _content(reader, id, 1)
            assert (old.status_code, old.content) == (200, stored[id, 1])

    async with running_service(settings, hub, **host.bearer()) as one:
        ids = [await _create(one, _notebook(step)) for step in (100, 200)]
        stored |= {(id, 1): _bytes(_notebook(step)) for id, step in zip(ids, (100, 200), strict=True)}
        first_keys = set(await _all(database, DataKeyRow.id))
        async with running_service(settings, hub, **host.bearer()) as two:
            saving = [asyncio.create_task(go_on_saving(id, (one, two), 1000 * at)) for at, id in enumerate(ids)]
            await run("db", "encrypt")
            for _ in range(2):
                assert (await run("db", "new-key", host.id))[0] == 0
                code, told, _ = await run("db", "encrypt")
                assert code == 0, told
                assert "removed 1 keys" in told
            old_master = master.read_bytes()
            main(["keygen", "--master", str(master)])
            assert (await run("db", "rewrap"))[0] == 0
            assert "wrapped 0 keys" in (await run("db", "rewrap"))[1]
            master.write_bytes(master.read_bytes().removesuffix(old_master))
            assert (await run("db", "new-key", host.id))[0] == 0
            async with running_service(settings, hub, **host.bearer()) as three:
                for id in ids:
                    assert (await _content(three, id, 1)).content == stored[id, 1]
            assert (await run("db", "encrypt"))[0] == 0
            assert (await run("db", "pack"))[0] == 0
            stop.set()
            await asyncio.gather(*saving)
            for (id, number), content in stored.items():
                assert (await _content(one, id, number)).content == content

    current = await _all(database, DataKeyRow.id, DataKeyRow.host_id)
    assert len([id for id, owner in current if owner == host.id]) == 1
    assert await _keys_of_rows(database) <= {id for id, _ in current}
    assert not first_keys & {id for id, owner in current if owner == host.id}
    code, told, _ = await run("db", "check")
    assert (code, told) == (0, "All is as it should be.\n")


@pytest.mark.each_database
async def test_without_its_master_key_a_store_is_refused_and_never_garbage(
    settings, hub, host, run, tmp_path, monkeypatch, client
):
    id = await _history(client, 2)
    await run("db", "encrypt")
    wrong = tmp_path / "wrong.keys"
    main(["keygen", "--master", str(wrong)])
    for file in (str(wrong), None):
        if file:
            monkeypatch.setenv("INSET_MASTER_KEY_FILE", file)
        else:
            monkeypatch.delenv("INSET_MASTER_KEY_FILE")
        for arguments in (["serve"], ["db", "pack"], ["db", "encrypt"], ["db", "rewrap"], ["versions", "thin"]):
            code, _, told = await run(*arguments)
            assert (code, told.count("\n")) == (2, 1), told
            assert "master key" in told or "INSET_MASTER_KEY_FILE" in told
        code, told, _ = await run("db", "check")
        assert (code, f"the data key of {host.id} cannot be opened" in told) == (1, True), told
        assert "[master-keys-missing]" in (await run("doctor"))[1]

        used = settings.model_copy(update={"master_key_file": wrong if file else None})
        async with running_service(used, hub, **host.bearer()) as stranger:
            assert problem(await _content(stranger, id, 1)) == "content-damaged"
            answer = await stranger.put(f"/v1/notebooks/{id}/content", json=_notebook(5), headers={"If-Match": '"2"'})
            assert problem(answer) == "database-unavailable"
    await _assert_reads(client, id, 2)


@pytest.mark.each_database
async def test_an_export_is_encrypted_as_its_database_and_read_with_the_same_master_key(
    client, settings, hub, host, run, databases, database_kind, tmp_path, monkeypatch
):
    id = await _history(client, 3)
    await run("db", "pack")
    assert (await run("db", "export", str(tmp_path / "export")))[0] == 0
    (tmp_path / "target").mkdir()
    kind = {"sqlite": "postgresql", "postgresql": "sqlite"}[database_kind]
    async with databases.migrated(kind, tmp_path / "target") as url:
        monkeypatch.setenv("INSET_DATABASE_URL", url)

        assert (await run("db", "import", str(tmp_path / "export")))[0] == 0

        assert (await run("db", "check"))[:2] == (0, "All is as it should be.\n")
        moved = settings.model_copy(update={"database_url": url})
        async with running_service(moved, hub, **host.bearer()) as there:
            await _assert_reads(there, id, 3)
            await _save(there, id, _notebook(3), 3)


@pytest.mark.each_database
async def test_what_cannot_be_read_is_left_as_it_is_and_told(client, run, database):
    damaged, whole = [await _create(client, _notebook(step)) for step in (1, 2)]
    async with database.transaction() as db:
        await db.exec(update(Body).where(col(Body.notebook_id) == damaged).values(content=b"not what was written"))
    await run("db", "new-key", "demo")

    code, told, _ = await run("db", "encrypt")

    assert (code, "1 could not be read" in told, "1 retired keys are still needed" in told) == (1, True, True)
    assert problem(await _content(client, damaged, 1)) == "content-damaged"
    assert (await _content(client, whole, 1)).content == _bytes(_notebook(2))


async def test_a_host_that_is_registered_has_its_secret_wrapped_from_the_start(run, database, tmp_path):
    file = tmp_path / "new.toml"
    key = "a secret that is longer than 32 characters"
    file.write_text(
        f'[[hosts]]\nid = "new"\norigins = ["https://n.example"]\nkeys = [{{kid="k", alg="HS256", key="{key}"}}]'
    )

    assert (await run("hosts", "apply", str(file)))[0] == 0

    async with database.transaction(read_only=True) as db:
        assert len((await db.get_one(Host, "new")).store_key) > 32
