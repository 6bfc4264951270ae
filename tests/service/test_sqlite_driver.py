"""aiosqlite's connection as the service uses it."""

import asyncio

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
