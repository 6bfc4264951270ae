"""aiosqlite's connection as the service uses it."""

import asyncio
import threading

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


def test_a_thread_that_is_done_after_its_loop_is_closed_ends_in_peace(tmp_path, monkeypatch):
    """So is one that waits for the writer's lock while the service is stopped."""
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
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
    connection._thread.join(20)

    assert not connection._thread.is_alive()
    assert failures == []
