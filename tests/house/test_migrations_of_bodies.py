"""Bodies that were written in pieces are whole bytes again for the release before them."""

import random
import sqlite3
from pathlib import Path

from alembic import command

from inset.db import migrations, upgrade
from inset.store.blobs import name
from inset.store.compression import pack_hard
from inset.store.decoding import decode
from inset.store.skeletons import Written, write_skeleton
from inset.store.splitting import skeleton, split


def _url(file: Path) -> str:
    return f"sqlite:///{file}"


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
