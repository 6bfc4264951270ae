"""How large a history is: after its saves, packed, and as git packs the same files."""

import contextlib
import sqlite3
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import Inset, Server
from benchmarks.store_times import new, save


@dataclass(frozen=True)
class Sizes:
    """Bytes of one history."""

    label: str
    versions: int
    first: int
    """Of its first version."""
    copies: int
    """Of all versions, each as it is."""
    saved: int
    packed: int
    git: int
    """As `git gc` packs it on this machine."""
    git_alone: int
    """As it does with one thread."""


def histories(database: Inset, server: Server, given: Sequence[tuple[str, list[bytes]]]) -> list[Sizes]:
    """Save histories, pack them all, read each version back, and measure."""
    call = server.caller()
    stored: list[tuple[str, int]] = []
    for _, states in given:
        id = new(call)
        for base, state in enumerate(states, start=1):
            save(call, id, state, base)
        stored.append((id, size_of(database, id)))
    database.inset("db", "pack")
    sizes = []
    for (label, states), (id, saved) in zip(given, stored, strict=True):
        for number, state in enumerate(states, start=2):
            assert call("GET", f"/v1/notebooks/{id}/versions/{number}/content") == state, (label, number)
        packed, copies = size_of(database, id), sum(map(len, states))
        sizes.append(
            Sizes(label, len(states), len(states[0]), copies, saved, packed, git(states), git(states, threads=1))
        )
    return sizes


def curve(
    unpacked: Inset, never_packing: Server, packed: Inset, packing: Server, states: list[bytes], steps: Sequence[int]
) -> list[Sizes]:
    """Measure one history again and again while it grows, packing each time."""
    calls = never_packing.caller(), packing.caller()
    ids = [new(call) for call in calls]
    measured = []
    for number, state in enumerate(states, start=1):
        for call, id in zip(calls, ids, strict=True):
            save(call, id, state, number)
        if number in steps:
            packed.inset("db", "pack")
            so_far = states[:number]
            sizes = size_of(unpacked, ids[0]), size_of(packed, ids[1]), git(so_far), git(so_far, threads=1)
            measured.append(Sizes("", number, len(states[0]), sum(map(len, so_far)), *sizes))
    return measured


def size_of(database: Inset, id: str) -> int:
    """Add up what a notebook takes: bodies, and every blob that is in it, or that one of those stands on."""
    bodies = "SELECT sum(length(content)) FROM bodies WHERE notebook_id = :id"
    blobs = """
        WITH RECURSIVE needed (host_id, key) AS (
            SELECT host_id, key FROM blob_uses WHERE notebook_id = :id
            UNION SELECT blob_bases.host_id, base FROM blob_bases JOIN needed USING (host_id, key))
        SELECT sum(length(content) + length(key)) FROM blobs JOIN needed USING (host_id, key)"""
    with contextlib.closing(sqlite3.connect(database.database)) as connection:
        return sum(connection.execute(query, {"id": id}).fetchone()[0] or 0 for query in (bodies, blobs))


def git(states: Sequence[bytes], *, threads: int = 0) -> int:
    """Commit each version, and give the size of the one pack that `git gc` makes; 0 threads: one for each processor."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["user.name=n", "user.email=n@example.org", "gc.auto=0", f"pack.threads={threads}"]
        command = ["git", "-C", folder, *[part for option in options for part in ("-c", option)]]
        subprocess.run([*command, "init", "-q"], check=True)
        for state in states:
            Path(folder, "n.ipynb").write_bytes(state)
            subprocess.run([*command, "add", "n.ipynb"], check=True)
            subprocess.run([*command, "commit", "-qm", "saved"], check=True)
        subprocess.run([*command, "gc", "-q"], check=True)
        return sum(file.stat().st_size for file in Path(folder, ".git/objects/pack").glob("*.pack"))
