"""What a save and a load cost, beside a raw insert and jupyter_server, and how large a history is, beside git's pack.

The three stores are asked in turns, so that what else the machine does meets all of them. A save changes one cell.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat

from benchmarks.notebook_histories import canonical, history, synthetic
from inset.cli import main as inset
from inset.db import open_database, upgrade
from inset.hosts import apply_hosts
from tests.support.hosts import TestHost, write_hosts_file
from tests.support.real_hub import free_ports

SIZES = {"10 KB": 10_000, "100 KB": 100_000, "1 MB": 1_000_000, "10 MB": 10_000_000, "50 MB": 50_000_000}
_VERSIONS = 50


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--saves", type=int, default=15, help="of each size; a tenth of 50 MB")
    parser.add_argument("--corpus", type=Path, help="a folder with real notebooks, for the histories")
    parser.add_argument("--report", type=Path, default=Path("docs/store-benchmark.md"))
    given = parser.parse_args()
    lines = [f"# The notebook store, measured\n\n{__doc__.strip()}\n", _LOADED.format(load=os.getloadavg()[0])]
    with tempfile.TemporaryDirectory() as folder, _service(folder) as (port, host), _jupyter(folder) as jupyter:
        lines += [
            "| notebook | raw insert, ms | save / raw | save / contents PUT | load / contents GET |",
            _RULE * 5 + "|",
        ]
        for label, size in SIZES.items():
            saves = given.saves if size < 50_000_000 else max(3, given.saves // 10)
            lines.append(_times(label, size, saves, folder, port, host, jupyter))
            print(lines[-1], flush=True)
        lines += ["\n% of fifty full copies:\n", "| notebook | after the saves | packed | `git gc` | packed / git |"]
        lines.append(_RULE * 5 + "|")
        shown = [(label, synthetic(SIZES[label])) for label in ("10 KB", "100 KB", "1 MB")]
        shown += [
            (file.name, nbformat.read(file, 4))
            for file in sorted((given.corpus or Path()).rglob("*.ipynb"))
            if given.corpus
        ]
        rows = []
        for label, notebook in shown:
            states = history(notebook, _VERSIONS)
            rows.append(_sizes(states, folder, port, host))
            saved, packed, git = (100 * part / sum(map(len, states)) for part in rows[-1])
            figures = f"{saved:.2f} | {packed:.2f} | {git:.2f} | {packed / git:.2f}"
            lines.append(f"| {label}, {len(states[0]) // 1000} KB | {figures} |")
            print(lines[-1], flush=True)
        lines.append(f"\nMedian of packed / git: {statistics.median(packed / git for _, packed, git in rows):.2f}")
    given.report.write_text("\n".join(lines) + "\n")


_RULE = "| --- "
_LOADED = (
    "Written by `make bench`. Ratios of medians, at a load of {load:.1f} when it began: look at ratios, not at "
    "milliseconds. SQLite, WAL, synchronous=FULL.\n"
)


def _times(label: str, size: int, saves: int, folder: str, port: int, host: TestHost, jupyter: int) -> str:
    notebook = synthetic(size)
    raw = sqlite3.connect(f"{folder}/raw.db", isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute("CREATE TABLE IF NOT EXISTS bodies (id INTEGER PRIMARY KEY, content BLOB)")
    ours, theirs = _caller(port, host.bearer()), _caller(jupyter, {"Content-Type": "application/json"})
    id = json.loads(ours("POST", "/v1/notebooks", b'{"name": "N"}', {"Content-Type": "application/json"}))["id"]
    path, took = f"/v1/notebooks/{id}/content", [[], [], [], [], []]
    for number in range(1, saves + 1):
        notebook.cells[number % len(notebook.cells)].source += f"\n# {number}"
        content = canonical(notebook)
        model = json.dumps({"type": "notebook", "format": "json", "content": json.loads(content)}).encode()
        took[0].append(_timed(raw.execute, "INSERT INTO bodies (content) VALUES (?)", (content,)))
        took[1].append(_timed(ours, "PUT", path, content, {"If-Match": str(number)}))
        took[2].append(_timed(theirs, "PUT", f"/api/contents/n{size}.ipynb", model))
        took[3].append(_timed(ours, "GET", path))
        took[4].append(_timed(theirs, "GET", f"/api/contents/n{size}.ipynb"))
    raw.close()
    insert, put, contents_put, get, contents_get = map(statistics.median, took)
    return (
        f"| {label} | {insert * 1000:.2f} | {put / insert:.2f} | {put / contents_put:.2f} | {get / contents_get:.2f} |"
    )


def _sizes(states: list[bytes], folder: str, port: int, host: TestHost) -> tuple[int, int, int]:
    """Give how many bytes a history takes after the saves, packed, and as git packs it."""
    ours = _caller(port, host.bearer())
    before = _stored(folder)
    id = json.loads(ours("POST", "/v1/notebooks", b'{"name": "N"}', {"Content-Type": "application/json"}))["id"]
    for number, state in enumerate(states, start=1):
        ours("PUT", f"/v1/notebooks/{id}/content", state, {"If-Match": str(number)})
    saved = _stored(folder) - before
    subprocess.run([sys.executable, "-m", "inset", "db", "pack"], env=_environment(folder, port), check=True, stdout=-3)
    for number, state in enumerate(states, start=2):
        assert ours("GET", f"/v1/notebooks/{id}/versions/{number}/content") == state
    # What was there before is packed by then, but for the first one: measured on its own.
    return saved, _stored(folder, id), _git(states)


def _stored(folder: str, id: str | None = None) -> int:
    bodies, blobs = "SELECT sum(length(content)) FROM bodies", "SELECT sum(length(content)) FROM blobs"
    if id:
        bodies += f" WHERE notebook_id = '{id}'"
        blobs += f" WHERE key IN (SELECT key FROM blob_uses WHERE notebook_id = '{id}')"
    with contextlib.closing(sqlite3.connect(f"{folder}/inset.db")) as database:
        return sum(database.execute(query).fetchone()[0] or 0 for query in (bodies, blobs))


def _git(states: list[bytes]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "gc.auto=0"]
        subprocess.run([*git, "init", "-q"], check=True)
        for state in states:
            Path(folder, "n.ipynb").write_bytes(state)
            subprocess.run([*git, "add", "n.ipynb"], check=True)
            subprocess.run([*git, "commit", "-qm", "saved"], check=True)
        subprocess.run([*git, "gc", "-q"], check=True)
        return sum(file.stat().st_size for file in Path(folder, ".git/objects/pack").glob("*.pack"))


def _timed(work: Callable[..., Any], *given: Any) -> float:
    begin = time.perf_counter()
    work(*given)
    return time.perf_counter() - begin


def _caller(port: int, headers: dict[str, str]) -> Callable[..., bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def call(method: str, path: str, body: bytes | None = None, more: dict[str, str] | None = None) -> bytes:
        connection.request(method, path, body, {**headers, **(more or {})})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status < 300, content[:500]
        return content

    return call


def _environment(folder: str, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "INSET_PUBLIC_URL": TestHost().audience,
        "INSET_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/inset.db",
        "INSET_SIGNING_KEY_FILE": f"{folder}/signing.pem",
        "INSET_LISTEN_PORT": str(port),
        "INSET_HUB__TOKEN": "no-hub-is-asked",
        "INSET_CHECK_INTERVAL": "3600",
        "INSET_TOKEN_MAX_LIFETIME": "3600",
    }


@contextlib.contextmanager
def _service(folder: str) -> Iterator[tuple[int, TestHost]]:
    [port], host = free_ports(1), TestHost()
    environment = _environment(folder, port)
    inset(["keygen", environment["INSET_SIGNING_KEY_FILE"]])
    upgrade(environment["INSET_DATABASE_URL"])

    async def register() -> None:
        async with open_database(environment["INSET_DATABASE_URL"]) as database:
            await apply_hosts(database, write_hosts_file(Path(folder, "hosts.toml"), host))

    asyncio.run(register())
    with _process([sys.executable, "-m", "inset", "serve"], port, environment):
        yield port, host


@contextlib.contextmanager
def _jupyter(folder: str) -> Iterator[int]:
    [port] = free_ports(1)
    root = Path(folder, "jupyter")
    root.mkdir()
    options = {"ip": "127.0.0.1", "port": port, "root_dir": root, "open_browser": False, "allow_root": True}
    options |= {"disable_check_xsrf": True, "max_body_size": 2**30, "max_buffer_size": 2**30}
    arguments = [f"--ServerApp.{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "jupyter_server", "--IdentityProvider.token=", *arguments]
    with _process(command, port, dict(os.environ)):
        yield port


@contextlib.contextmanager
def _process(command: list[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                http.client.HTTPConnection("127.0.0.1", port).connect()
                break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
