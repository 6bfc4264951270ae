"""A real PostgreSQL server for the tests alone: its own folder, its own socket, nothing shared with the machine's."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import psutil

_ACCOUNT = "postgres"
"""Whom Debian's package makes for it. PostgreSQL refuses to run as root."""

_STOP_SECONDS = 30
_START_SECONDS = 30


class PostgresServer:
    """Owned by whoever started it, who stops it at the end. Durable as in production: `fsync` is on."""

    def __init__(self) -> None:
        self._bin = _programs()
        # Short, since a socket's path may be only so long; and not the run's own, which `postgres` may not enter.
        self._folder = Path(tempfile.mkdtemp(prefix="inset-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            account = pwd.getpwnam(_ACCOUNT)
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        else:
            self._as = {}
        self._call("initdb", "--pgdata", "data", "--username=inset", "--auth=trust", "--locale=C.UTF-8", "--no-sync")

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers; once more after it was killed, too."""
        settings = {
            "unix_socket_directories": str(self._folder),
            "listen_addresses": "",
            "max_connections": "300",
            "max_wal_size": "256MB",
            "log_min_messages": "warning",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [self._bin / "postgres", "-D", "data", *options]
        ready = [self._bin / "pg_isready", "--quiet", "--host", self._folder, "--username=inset", "--dbname=postgres"]
        until = time.monotonic() + _START_SECONDS
        while self._process is None or self._process.poll() is not None or subprocess.run(ready).returncode:
            if time.monotonic() > until:
                raise AssertionError("PostgreSQL does not start:\n" + (self._folder / "log").read_text()[-2000:])
            if self._process is None or self._process.poll() is not None:
                # After a kill it refuses until the last backend of the one before has noticed.
                with (self._folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log, **self._as)
            time.sleep(0.05)

    def kill(self) -> None:
        """End it without a word, as a machine does that loses its power; its backends follow by themselves."""
        self._end(signal.SIGKILL)

    def shut_down(self) -> None:
        """Stop it as an operator does who can't wait, so that `start` brings it back: all connections end."""
        self._end(signal.SIGQUIT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Have neither it nor any of its backends do anything for a while, as where a network is cut."""
        assert self._process
        parent = psutil.Process(self._process.pid)
        processes = [parent]
        parent.suspend()
        processes += parent.children()
        for process in processes[1:]:
            process.suspend()
        try:
            yield
        finally:
            for process in reversed(processes):
                process.resume()

    def stop(self) -> None:
        """Stop it, and remove all that it kept."""
        self._end(signal.SIGINT)  # at once, and in order
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """Give a database's URL as an operator would write it."""
        return f"postgresql://inset@/{database}?host={self._folder}"

    async def create(self, template: str | None = None) -> str:
        """Make a database, empty or as a copy of another that nobody is connected to; gives its name."""
        name = f"inset_{uuid4().hex}"
        await self.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return name

    async def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        await self.execute(f"DROP DATABASE {database} WITH (FORCE)")

    def dump(self, database: str) -> Path:
        """Write a backup of a database as its operator would, beside whatever goes on in it; gives the file."""
        file = self._folder / f"{database}.dump"
        self._call(
            "pg_dump", "--format=custom", f"--file={file}", f"--host={self._folder}", "--username=inset", database
        )
        return file

    async def restore(self, file: Path) -> str:
        """Make a new database of a backup; gives its name."""
        database = await self.create()
        target = (f"--host={self._folder}", "--username=inset", f"--dbname={database}")
        await asyncio.to_thread(self._call, "pg_restore", "--exit-on-error", *target, str(file))
        return database

    async def execute(self, statement: str, *, database: str = "postgres") -> None:
        """Execute a statement, as the server's superuser."""
        connection = await asyncpg.connect(host=str(self._folder), user="inset", database=database)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _end(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # What it keeps is a test's: it is not worth the wait for a disk that has too much to do.
                self._process.kill()
                self._process.wait()

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments], cwd=self._folder, capture_output=True, text=True, **self._as
        )
        assert done.returncode == 0, done.stderr


def _programs() -> Path:
    """Find PostgreSQL's programs, where Debian hides them or on the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    assert found, "The store is tested on PostgreSQL, which is not here: `python3 dev/install.py test` installs it."
    return Path(found).resolve().parent
