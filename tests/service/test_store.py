"""How versions' bytes are kept: exactly, once for a host application, and small."""

import asyncio
import base64
import json
import random
import sqlite3
from hashlib import sha256

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from inset.db import open_database
from inset.documents import document_from_jupyter, uploaded_document
from inset.models import Blob, BlobUse, Body, Notebook
from inset.store.blobs import name
from inset.store.compression import pack_hard, patch, unpack, unpatch
from inset.store.decoding import decode, encode
from inset.store.garbage import remove_unused_blobs, remove_versions
from inset.store.packing import pack
from inset.store.splitting import join, references, skeleton, split
from inset.versions import get_version, read_document, store
from tests.service.conftest import document, problem


def _image(seed: int, size: int, *, line: int = 0) -> str:
    text = base64.b64encode(random.Random(seed).randbytes(size)).decode()
    return "".join(text[at : at + line] + "\n" for at in range(0, len(text), line)) if line else text


def _output(data: str, kind: str = "image/png") -> dict:
    return {"output_type": "display_data", "metadata": {}, "data": {kind: data, "text/plain": "<Figure>"}}


def _notebook(*outputs: dict, source: str = "plot()") -> dict:
    made = document(*[f"{source} # {number}" for number in range(max(len(outputs), 1))])
    for cell, output in zip(made["cells"], outputs, strict=False):
        cell["outputs"] = [output]
    return made


def _bytes(notebook: dict) -> bytes:
    return (nbformat.writes(nbformat.from_dict(notebook)) + "\n").encode("utf-8", "backslashreplace")


_TEXT = st.text(max_size=40) | st.text(alphabet='ab\n{} "\\/=\0', max_size=200)
_OUTPUTS = st.builds(
    lambda seed, size, line, kind: _output(_image(seed, size, line=line), kind),
    st.integers(0, 5),
    st.integers(0, 6000),
    st.sampled_from([0, 76, 64]),
    st.sampled_from(["image/png", "text/html", "application/json"]),
) | st.builds(lambda text: {"output_type": "stream", "name": "stdout", "text": text * 50}, _TEXT)
_NOTEBOOKS = st.builds(
    lambda outputs, source, metadata: _bytes({**_notebook(*outputs, source=source), "metadata": {"mine": metadata}}),
    st.lists(_OUTPUTS, max_size=4),
    _TEXT,
    st.recursive(_TEXT | st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner)),
)


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    content = draw(_NOTEBOOKS)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        what = draw(st.sampled_from([b"", b"\0", b"\n    {\n", b"\n    }", b'"', b"\xff", b"x" * 5000, b"\0" * 30]))
        content = content[:at] + what + content[at + draw(st.integers(0, 40)) :]
    return content


_ANYTHING = (
    _NOTEBOOKS
    | _mutated()
    | st.binary(max_size=9000)
    | _NOTEBOOKS.map(lambda text: json.dumps(json.loads(text)).encode())
)
_THOROUGH = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@_THOROUGH
@given(_ANYTHING)
def test_any_bytes_come_back_from_their_pieces(content):
    parts = split(content)
    keys = [name(piece, b"a host's key") for piece in parts.pieces]

    text = skeleton(parts, keys)

    assert references(text) == keys
    assert join(text, dict(zip(keys, parts.pieces, strict=True))) == content


@_THOROUGH
@given(_ANYTHING)
def test_what_is_decoded_comes_back(content):
    for piece in [content, *split(content).pieces]:
        decoded = decode(piece)
        assert decoded is None or encode(decoded) == piece


@_THOROUGH
@given(_ANYTHING, _ANYTHING)
def test_what_is_written_as_a_difference_comes_back(content, base):
    assert unpatch(patch(content, base), base) == content
    assert unpack(pack_hard(content)) == content


@_THOROUGH
@given(_NOTEBOOKS, st.sampled_from([None, 0, 2]), st.booleans())
def test_an_upload_is_stored_as_nbformat_writes_it_however_it_came(content, indent, sort):
    uploaded = json.dumps(json.loads(content), indent=indent, sort_keys=sort).encode()

    assert uploaded_document(uploaded).content == uploaded_document(content).content == content


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made["metadata"].update(orig_nbformat=3),
        lambda made: made["metadata"].update(big=12345678901234567890123),
        lambda made: made["cells"][0]["metadata"].update(trusted=True),
        lambda made: made["cells"][0].update(source="one\ntwo"),
        lambda made: made["cells"][0]["outputs"][0]["data"].update({"text/html": "one\ntwo"}),
    ],
)
def test_what_nbformat_would_change_is_not_taken_as_it_is(change):
    made = json.loads(_bytes(_notebook(_output(_image(1, 100)))))
    change(made)
    laid_out = (json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    assert uploaded_document(laid_out).content == _bytes(json.loads(laid_out))


def test_outputs_and_long_strings_are_what_is_cut_out():
    notebook = _notebook(_output(_image(1, 3000)), _output("<table>" + "x" * 3000, "text/html"), source="x" * 5000)
    notebook["metadata"]["widgets"] = {"state": _image(2, 9000)}

    parts = split(_bytes(notebook))

    assert len(parts.pieces) == 5
    assert sum(map(len, parts.literals)) < 1500


@pytest.mark.parametrize("line", [0, 76])
def test_an_image_is_kept_as_its_own_bytes(line):
    [piece] = split(_bytes(_notebook(_output(_image(3, 30_000, line=line))))).pieces

    decoded = decode(piece)

    assert decoded is not None
    assert random.Random(3).randbytes(30_000) in decoded
    assert encode(decoded) == piece


async def _save(client, id, notebook, base, **headers):
    answer = await client.put(
        f"/v1/notebooks/{id}/content", content=_bytes(notebook), headers={"If-Match": f'"{base}"', **headers}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["version"]


async def _content(client, id, number):
    return await client.get(f"/v1/notebooks/{id}/versions/{number}/content")


async def _all(database, *what):
    async with database.transaction(read_only=True) as db:
        return (await db.exec(select(*what))).all()


@pytest.fixture
async def database(settings):
    async with open_database(settings.database_url) as database:
        yield database


@pytest.fixture
def history(client, new_notebook):
    """Make a notebook of so many versions, of which each changes its source, and every tenth an image as well."""

    async def make(versions: int, seed: int = 0) -> tuple[str, list[bytes]]:
        def state(number: int) -> dict:
            images = [_image(seed + 100 * which + (number // 10 if which == 0 else 0), 20_000) for which in range(3)]
            return _notebook(*map(_output, images), source=f"step({number})\n" * 30)

        id = (await new_notebook(content=state(1)))["id"]
        for number in range(2, versions + 1):
            await _save(client, id, state(number), number - 1)
        return id, [_bytes(state(number)) for number in range(1, versions + 1)]

    return make


async def test_versions_and_notebooks_of_a_host_share_what_they_have_in_common(client, new_notebook, database):
    shared = _output(_image(1, 50_000))
    first = (await new_notebook(content=_notebook(shared)))["id"]
    await _save(client, first, _notebook(shared, source="other()"), 1)
    await new_notebook(content=_notebook(shared))

    assert len(await _all(database, Blob.key)) == 1
    assert len(await _all(database, BlobUse.notebook_id)) == 2
    assert sum(len(content) for content in await _all(database, Body.content)) < 3000


async def test_hosts_share_nothing_and_name_the_same_piece_differently(client, new_notebook, other_host, database):
    content = _notebook(_output(_image(1, 50_000)))
    await new_notebook(content=content)
    await client.post("/v1/notebooks", json={"name": "N", "content": content}, headers=other_host.bearer())

    blobs = await _all(database, Blob.host_id, Blob.key)

    assert sorted(host_id for host_id, _ in blobs) == ["demo", "other"]
    assert len({key for _, key in blobs}) == 2
    assert sha256(split(_bytes(content)).pieces[0]).digest()[:20] not in {key for _, key in blobs}


async def test_a_packed_history_is_a_fraction_of_what_it_was_and_reads_the_same(client, history, database, command):
    id, contents = await history(45)
    before = await _stored(database)

    code, told, _ = await command("db", "pack")

    assert code == 0
    assert "packed 45 bodies and 7 blobs" in told
    # Of three images of 20,000 random bytes, one is another one in every tenth version.
    assert 7 * 20_000 < await _stored(database) < min(before, 7 * 20_000 + 8_000)
    for number, content in enumerate(contents, start=1):
        assert (await _content(client, id, number)).content == content
    formats = await _all(database, Body.format)
    assert [formats.count(format) for format in ("patch", "packed", "quick")] == [44, 1, 0]


async def test_packing_again_finds_nothing_to_do_until_there_are_new_versions(client, history, command):
    id, contents = await history(5)
    await command("db", "pack")

    _, again, _ = await command("db", "pack")
    await _save(client, id, _notebook(source="new()"), 5)
    _, later, _ = await command("db", "pack")

    assert "packed 0 bodies and 0 blobs" in again
    assert "packed 1 bodies and 0 blobs" in later
    assert (await _content(client, id, 5)).content == contents[4]


async def test_a_body_of_the_time_before_there_were_pieces_is_read_and_packed(client, history, database, settings):
    id, contents = await history(3)
    for number, content in enumerate(contents, start=1):
        whole = "UPDATE bodies SET content = ?, format = 'whole' WHERE number = ?"
        await asyncio.to_thread(_execute, settings, whole, content, number)
    for table in ("blob_uses", "blobs"):
        await asyncio.to_thread(_execute, settings, f"DELETE FROM {table}")
    assert [(await _content(client, id, number)).content for number in (1, 2, 3)] == contents

    await pack(database, print)

    assert "whole" not in await _all(database, Body.format)
    assert [(await _content(client, id, number)).content for number in (1, 2, 3)] == contents


def _execute(settings, statement: str, *values: object) -> None:
    database = sqlite3.connect(settings.database_url.split("///")[1])
    with database:
        database.execute(statement, values)
    database.close()


async def _stored(database) -> int:
    return sum(map(len, [*await _all(database, Body.content), *await _all(database, Blob.content)]))


async def test_versions_that_others_stand_on_can_be_removed(client, history, database):
    id, contents = await history(30)
    await pack(database, print)
    removed = [1, 2, 5, 21, 22, 23, 29]

    async with database.transaction() as db:
        await remove_versions(db, id, removed)

    for number, content in enumerate(contents, start=1):
        answer = await _content(client, id, number)
        if number in removed:
            assert problem(answer) == "version-not-found"
        else:
            assert answer.content == content, number


async def test_what_no_version_has_in_it_any_more_is_removed_and_nothing_else(client, history, database, command):
    id, contents = await history(25)
    other, others = await history(1, seed=0)
    await command("db", "pack")
    async with database.transaction() as db:
        await remove_versions(db, id, range(1, 20))

    _, told, _ = await command("db", "pack")

    # The first image of versions 10 to 19; that of 1 to 9 is in the other notebook too.
    assert "removed 1 blobs" in told
    assert len(await _all(database, Blob.key)) == 4
    for number in range(20, 26):
        assert (await _content(client, id, number)).content == contents[number - 1]
    assert (await _content(client, other, 1)).content == others[0]


async def test_saves_beside_packing_and_removal_lose_nothing(client, new_notebook, database):
    ids = [(await new_notebook(content=_notebook()))["id"] for _ in range(3)]
    saved = {id: {} for id in ids}
    over = asyncio.Event()

    async def save(id: str) -> None:
        for base in range(1, 25):
            # Of few images, so that each is needed and given up again and again.
            made = _notebook(_output(_image(base % 4, 8_000)), source=f"{id}{base}")
            number = await _save(client, id, made, base)
            saved[id][number] = _bytes(made)
            if base % 5 == 0:
                gone = [number for number in list(saved[id]) if number < base - 2]
                async with database.transaction() as db:
                    await remove_versions(db, id, gone)
                for number in gone:
                    del saved[id][number]

    async def maintain() -> None:
        while not over.is_set():
            await pack(database, lambda line: None)
            await remove_unused_blobs(database)
            # Where there is nothing to do, neither waits for anything: the saves would never have their turn.
            await asyncio.sleep(0)

    maintenance = asyncio.create_task(maintain())
    await asyncio.gather(*map(save, ids))
    over.set()
    await maintenance

    for id, versions in saved.items():
        for number, content in versions.items():
            assert (await _content(client, id, number)).content == content


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE bodies SET content = CAST(content || x'00' AS BLOB)",
        "UPDATE bodies SET content = zeroblob(10)",
        "UPDATE blobs SET content = substr(content, 1, 1000)",
        "UPDATE blobs SET content = (SELECT content FROM bodies)",
        "UPDATE blobs SET format = 'decoded'",
        "DELETE FROM blob_uses",
    ],
)
async def test_damaged_bytes_are_told_and_never_given_out(client, history, settings, caplog, damage):
    id, _ = await history(1)
    # Not in the loop of the service, which may hold the lock at this moment.
    await asyncio.to_thread(_execute, settings, damage)

    answer = await client.get(f"/v1/notebooks/{id}/content")

    assert answer.status_code == 500
    assert problem(answer) == "content-damaged"
    assert f"notebook {id}, version 1: its bytes are damaged" in caplog.text


async def test_what_is_damaged_does_not_keep_the_rest_from_being_packed(history, database, settings, caplog):
    damaged, _ = await history(2)
    await history(3)
    one = "UPDATE blobs SET content = x'00' WHERE key IN (SELECT key FROM blob_uses WHERE notebook_id = ? LIMIT 1)"
    await asyncio.to_thread(_execute, settings, one, damaged)

    packed = await pack(database, print)

    assert packed.bodies
    assert packed.blobs
    assert "is damaged, and not packed" in caplog.text


async def test_what_jupyter_saves_is_kept_byte_for_byte_whatever_it_is(new_notebook, database):
    odd = [b"\0", b"\0" * 5000, b"no json", _bytes(_notebook(_output(_image(1, 9_000)))) + b"\0\xff", b""]
    id = (await new_notebook())["id"]
    async with database.transaction() as db:
        notebook = await db.get_one(Notebook, id)
        for content in odd:
            await store(db, notebook, document_from_jupyter(content), base=notebook.current, origin="save", author="a")
    await pack(database, print)

    async with database.transaction(read_only=True) as db:
        kept = [(await read_document(db, await get_version(db, id, number))).content for number in range(2, 7)]
    assert kept == odd
