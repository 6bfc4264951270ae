"""aiosqlite's connection as the service uses it."""

import asyncio
import sqlite3
import threading
from queue import SimpleQueue

import aiosqlite
import pytest
from sqlalchemy import make_url, text

from inset.engines.sqlite import new_engine
from inset.engines.sqlite_driver import connect


async def test_a_connection_that_is_stopped_while_it_closes_keeps_nobody_waiting(tmp_path):
    """So does SQLAlchemy when a request is cancelled; the service could not be stopped any more."""
    connection = await connect(str(tmp_path / "a.db"))
    closing = asyncio.create_task(connection.close())
    await asyncio.sleep(0)

    connection.stop()
    closing.cancel()

    done, _ = await asyncio.wait([closing], timeout=5)
    assert done
    await asyncio.to_thread(connection._thread.join, 5)
    assert not connection._thread.is_alive()


@pytest.fixture
def failures(monkeypatch):
    """What threads died of."""
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    return failures


def test_a_thread_that_is_done_after_its_loop_is_closed_ends_in_peace(tmp_path, failures):
    """So is one that waits for the writer's lock while the service is stopped."""
    begun, go_on = threading.Event(), threading.Event()

    async def ask_and_leave():
        connection = await connect(str(tmp_path / "a.db"))
        asking = asyncio.create_task(connection.do(lambda: begun.set() or go_on.wait(20), long=True))
        await asyncio.to_thread(begun.wait, 20)
        asking.cancel()
        connection.stop()
        return connection

    connection = asyncio.run(ask_and_leave())
    go_on.set()

    _ended_in_peace(connection, failures)


def test_a_connection_that_is_open_after_its_loop_is_closed_is_closed_in_peace(tmp_path, failures, monkeypatch):
    """So is one that a request has asked for just before the service was stopped."""
    begun, go_on, opened = threading.Event(), threading.Event(), []

    def slowly(*arguments, **options):
        begun.set()
        go_on.wait(20)
        opened.append(_connect(*arguments, **options))
        return opened[0]

    _connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", slowly)

    async def open_and_leave():
        connection = connect(str(tmp_path / "a.db"))
        opening = asyncio.ensure_future(connection)
        await asyncio.to_thread(begun.wait, 20)
        opening.cancel()
        await asyncio.wait([opening])
        return connection

    connection = asyncio.run(open_and_leave())
    go_on.set()

    _ended_in_peace(connection, failures)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


def _ended_in_peace(connection, failures):
    connection._thread.join(20)
    assert not connection._thread.is_alive()
    assert failures == []


async def test_an_engine_asks_a_connections_thread_for_nothing_past_the_driver(tmp_path, monkeypatch):
    """A thread that answers a future of its own accord dies where the loop of who has asked is closed by then."""
    asked = []

    class Noting(SimpleQueue):
        def put_nowait(self, item):
            asked.append(item[0])
            super().put_nowait(item)

    monkeypatch.setattr(aiosqlite.core, "SimpleQueue", Noting)
    for streams in (False, True):
        engine = new_engine(make_url(f"sqlite+aiosqlite:///{tmp_path}/a.db"), streams=streams)
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            await connection.rollback()
        await engine.dispose()

    assert asked
    assert not [answer for answer in asked if isinstance(answer, asyncio.Future)]
