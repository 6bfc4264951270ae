"""Bodies that were written in pieces are whole bytes again for the release before them."""

import base64
import random
import sqlite3
from pathlib import Path

import pytest
from alembic import command

from inset.schema import migrations, upgrade
from inset.store.blobs import name
from inset.store.compression import pack_hard, patch, unpack
from inset.store.decoding import decode, encode
from inset.store.skeletons import Written, write_skeleton
from inset.store.splitting import skeleton, split

_TIME = "2026-01-02 03:04:05.000000"


def _url(file: Path) -> str:
    return f"sqlite:///{file}"


def test_bodies_in_pieces_are_whole_again_for_the_release_before(tmp_path: Path) -> None:
    file = tmp_path / "pieces.db"
    upgrade(_url(file))
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
        _add_host(database)
        database.execute("INSERT INTO notebooks VALUES ('n1', 'h', 'ada', 'Reach', 3, 3, ?, ?, NULL)", (_TIME, _TIME))
        database.executemany(
            "INSERT INTO bodies (notebook_id, number, content, format, base) VALUES (?, ?, ?, ?, ?)", bodies
        )
        database.execute(
            "INSERT INTO blobs (host_id, key, format, size, content) VALUES ('h', ?, 'decoded', ?, ?)",
            (key, len(image), pack_hard(packed or b"")),
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


def test_blobs_that_stand_on_others_are_whole_again_for_the_release_before(tmp_path: Path) -> None:
    file = tmp_path / "bases.db"
    upgrade(_url(file))
    images = [random.Random(0).randbytes(4000) + random.Random(number).randbytes(500) for number in range(3)]
    pieces = [base64.b64encode(image) for image in images]
    decoded = [decode(piece) or b"" for piece in pieces]
    keys = [name(piece, b"secret") for piece in pieces]
    contents = [pack_hard(decoded[0]), patch(decoded[1], decoded[0]), patch(decoded[2], decoded[1])]
    database = sqlite3.connect(file)
    with database:
        _add_host(database)
        for key, piece, content in zip(keys, pieces, contents, strict=True):
            database.execute(
                "INSERT INTO blobs (host_id, key, format, size, content) VALUES ('h', ?, 'decoded', ?, ?)",
                (key, len(piece), content),
            )
        database.execute("INSERT INTO blob_bases VALUES ('h', ?, ?)", (keys[1], keys[0]))
        database.execute("INSERT INTO blob_bases VALUES ('h', ?, ?)", (keys[2], keys[1]))
    database.close()
    assert len(contents[2]) < 1000

    command.downgrade(migrations(_url(file)), "0007")

    database = sqlite3.connect(file)
    kept = dict(database.execute("SELECT key, content FROM blobs"))
    database.close()
    assert [encode(unpack(kept[key])) for key in keys] == pieces

    upgrade(_url(file))

    database = sqlite3.connect(file)
    assert database.execute("SELECT count(*) FROM blob_bases").fetchone() == (0,)
    assert dict(database.execute("SELECT key, content FROM blobs")) == kept
    database.close()


def test_encrypted_blobs_that_stand_on_others_keep_the_release_before_away(tmp_path: Path) -> None:
    file = tmp_path / "sealed.db"
    upgrade(_url(file))
    database = sqlite3.connect(file)
    with database:
        _add_host(database)
        database.execute("INSERT INTO data_keys VALUES ('k', 'h', x'00', ?, NULL)", (_TIME,))
        for key in (b"1", b"2"):
            database.execute("INSERT INTO blobs VALUES ('h', ?, 'packed', 1, x'00', 'k')", (key,))
        database.execute("INSERT INTO blob_bases VALUES ('h', ?, ?)", (b"1", b"2"))
    database.close()

    with pytest.raises(ValueError, match="inset db decrypt"):
        command.downgrade(migrations(_url(file)), "0007")

    database = sqlite3.connect(file)
    assert database.execute("SELECT count(*) FROM blob_bases").fetchone() == (1,)
    database.close()


def _add_host(database: sqlite3.Connection) -> None:
    database.execute(
        "INSERT INTO hosts (id, origins, keys, limits, may, store_key, updated_at) "
        "VALUES ('h', '', '', '', '', x'00', ?)",
        (_TIME,),
    )
