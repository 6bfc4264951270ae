"""Outputs that took the place of others are kept as what differs from those: exactly, and never without them."""

import asyncio
import base64
import random

import pytest
from sqlmodel import select, text

from inset.db import open_database
from inset.engines.connections import Connections
from inset.models import Blob, BlobBase, BlobUse
from inset.store.garbage import remove_unused_blobs, remove_versions
from inset.store.packing import pack
from inset.store.succession import successions
from tests.service.conftest import document, problem

pytestmark = pytest.mark.each_database


@pytest.fixture
async def database(settings):
    async with open_database(settings.database_url) as database:
        yield database


def _plot(number: int, which: int = 0, *, line: int = 0) -> dict:
    """Give an image of which a tenth is another one with each number."""
    image = bytearray(random.Random(which).randbytes(20_000))
    at = number % 10 * 2_000
    image[at : at + 2_000] = random.Random(1000 + number).randbytes(2_000)
    data = base64.b64encode(bytes(image)).decode()
    data = "".join(data[at : at + line] + "\n" for at in range(0, len(data), line)) if line else data
    return {"output_type": "display_data", "metadata": {}, "data": {"image/png": data, "text/plain": "<Figure>"}}


def _state(number: int, **more: int) -> dict:
    made = document("plot()", f"print({number})", "table()")
    made["cells"][0]["outputs"] = [_plot(number, **more)]
    made["cells"][2]["outputs"] = [_plot(0, which=1)]
    return made


@pytest.fixture
def history(client, new_notebook):
    """Make a notebook of so many versions, each with another plot in the same place; give what is to be read."""

    async def make(versions: int, **more: int) -> tuple[str, list[dict]]:
        id = (await new_notebook(content=_state(1, **more)))["id"]
        for number in range(2, versions + 1):
            await _save(client, id, number - 1, _state(number, **more))
        return id, [_state(number, **more) for number in range(1, versions + 1)]

    return make


async def _save(client, id, base, content):
    saved = await client.put(f"/v1/notebooks/{id}/content", json=content, headers={"If-Match": f'"{base}"'})
    assert saved.status_code == 200, saved.text


async def _all(database, *what):
    async with database.transaction(read_only=True) as db:
        return (await db.exec(select(*what))).all()


async def _assert_reads(client, id, contents, numbers=None):
    for number in numbers or range(1, len(contents) + 1):
        answer = await client.get(f"/v1/notebooks/{id}/versions/{number}/content")
        assert answer.status_code == 200, (number, answer.text)
        assert _plain(answer.json()) == _plain(contents[number - 1]), number


def _plain(content: dict) -> list:
    return [[["".join(out["data"]["image/png"]) for out in cell["outputs"]] for cell in content["cells"]]]


async def _depths(database) -> list[int]:
    bases = {key: base for key, base in await _all(database, BlobBase.key, BlobBase.base)}
    depths = []
    for key in await _all(database, Blob.key):
        depth = 0
        while key in bases:
            key, depth = bases[key], depth + 1
        depths.append(depth)
    return depths


def test_what_took_the_place_of_what_is_told_by_what_stands_around_it():
    before, after = [b"a", b"b", b"c"], [b"a", b"x", b"c", b"d"]

    assert dict(successions(before, after)) == {b"x": b"b"}
    assert dict(successions([b"a", b"b"], [b"x", b"y", b"z"])) == {b"x": b"a", b"y": b"b"}
    assert list(successions([], [b"x"])) == []


async def test_an_output_is_kept_as_what_differs_from_the_one_before_it(client, history, database):
    id, contents = await history(12, line=76)

    await pack(database, print)

    sizes = [len(content) for content in await _all(database, Blob.content)]
    assert len(sizes) == 13
    assert sum(sizes) < 2 * 20_000 + 11 * 5_000
    await _assert_reads(client, id, contents)


async def test_no_chain_of_outputs_is_long(client, history, database):
    id, contents = await history(30)

    await pack(database, print)

    depths = await _depths(database)
    assert 0 < max(depths) < 8
    await _assert_reads(client, id, contents)


async def test_what_is_saved_after_packing_stands_on_what_was_packed(client, history, database):
    id, contents = await history(3)
    await pack(database, print)
    contents.append(_state(4))
    await _save(client, id, 3, contents[-1])

    await pack(database, print)

    assert len(await _all(database, BlobBase.key)) == 3
    await _assert_reads(client, id, contents)


async def test_packers_beside_each_other_make_of_each_blob_one_thing(client, history, database):
    id, contents = await history(10)

    await asyncio.gather(*[pack(database, print) for _ in range(3)])

    assert "quick" not in await _all(database, Blob.format)
    assert max(await _depths(database)) < 8
    await _assert_reads(client, id, contents)


async def test_a_blob_that_others_stand_on_stays_until_they_are_gone(client, history, database):
    id, contents = await history(6)
    await pack(database, print)
    async with database.transaction() as db:
        await remove_versions(db, id, [1, 2, 3])

    assert (await remove_unused_blobs(database))[0] == 0
    await _assert_reads(client, id, contents, [4, 5, 6])
    assert len(await _all(database, BlobUse.key)) == 4

    async with database.transaction() as db:
        await remove_versions(db, id, [4, 5])
    contents.append(document("empty()"))
    await _save(client, id, 6, contents[-1])
    async with database.transaction() as db:
        await remove_versions(db, id, [6])

    assert (await remove_unused_blobs(database))[0] == 7
    assert await _all(database, Blob.key) == await _all(database, BlobBase.key) == []


async def test_an_output_that_only_others_stand_on_is_used_again_by_a_save(client, history, database):
    id, contents = await history(4)
    await pack(database, print)
    async with database.transaction() as db:
        await remove_versions(db, id, [1])

    contents.append(contents[0])
    await _save(client, id, 4, contents[-1])
    await remove_unused_blobs(database)

    await _assert_reads(client, id, contents, [2, 3, 4, 5])


@pytest.mark.parametrize("damage", ["missing", "changed", "circle"])
async def test_an_output_whose_base_is_damaged_is_never_given_out(client, history, database, damage):
    id, _ = await history(2)
    await pack(database, print)
    [(key, base)] = await _all(database, BlobBase.key, BlobBase.base)
    async with database.transaction() as db:
        if damage == "changed":
            changing = text("UPDATE blobs SET content = (SELECT content FROM bodies LIMIT 1) WHERE key = :base")
            await db.exec(changing, params={"base": base})
        elif damage == "circle":
            await db.exec(
                text("INSERT INTO blob_bases VALUES ('demo', :base, :key)"), params={"base": base, "key": key}
            )
        else:
            await db.exec(text("DELETE FROM blob_bases"))

    answer = await client.get(f"/v1/notebooks/{id}/versions/2/content")

    assert (answer.status_code, problem(answer)) == (500, "content-damaged")


async def test_nothing_is_written_as_what_differs_from_something_damaged(client, history, database):
    id, contents = await history(1)
    await pack(database, print)
    keys = await _all(database, Blob.key)
    async with database.transaction() as db:
        # It can still be unpacked, and is another piece.
        both = (await db.exec(select(Blob.content).order_by(Blob.key))).all()
        for key, content in zip(sorted(keys), both[::-1], strict=True):
            await db.exec(text("UPDATE blobs SET content = :c WHERE key = :k"), params={"c": content, "k": key})
    contents.append(_state(2))
    await _save(client, id, 1, contents[-1])

    await pack(database, print)

    assert await _all(database, BlobBase.key) == []
    answer = await client.get(f"/v1/notebooks/{id}/versions/1/content")
    assert problem(answer) == "content-damaged"


@pytest.mark.each_database("sqlite")  # whose driver tells of every statement, whoever asks it
async def test_a_version_is_read_in_two_queries_for_its_outputs_at_the_most(client, history, database, monkeypatch):
    id, contents = await history(10)
    asked: list[str] = []
    take = Connections.take

    def note(statement):
        if "blobs" in statement:
            asked.append(statement)

    async def watched(connections):
        taken = await take(connections)
        taken.driver_connection._conn.set_trace_callback(note)
        return taken

    async def queries(number: int) -> int:
        asked.clear()
        await _assert_reads(client, id, contents, [number])
        return len(asked)

    monkeypatch.setattr(Connections, "take", watched)
    assert await queries(5) == 1
    await pack(database, print)
    assert [await queries(number) for number in (1, 5, 10)] == [1, 2, 2]
