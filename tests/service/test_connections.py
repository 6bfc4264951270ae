"""Connections that are handed on without the way through the engine's pool."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from inset.engines import new_engine
from inset.engines.connections import Connections
from inset.settings import DatabaseSettings

KEPT, MOST = 5, 15
"""Connections that SQLAlchemy's pool for SQLite keeps, and has at the most."""


@pytest.fixture
async def connections(tmp_path) -> AsyncIterator[Connections]:
    engine = new_engine(f"sqlite:///{tmp_path / 'a.db'}", DatabaseSettings())
    connections = Connections(engine)
    yield connections
    await connections.close()
    assert engine.pool.checkedout() == 0
    await engine.dispose()


async def test_what_was_given_back_last_is_given_next(connections):
    first, second = await connections.take(), await connections.take()

    await connections.give_back(first, unsure=False)
    await connections.give_back(second, unsure=False)

    again = await connections.take()
    assert again is second
    await connections.give_back(again, unsure=False)


async def test_whoever_waits_for_a_connection_gets_what_comes_back(connections):
    taken = [await connections.take() for _ in range(MOST)]
    waiting = asyncio.create_task(connections.take())
    await asyncio.sleep(0.05)
    assert not waiting.done()

    await connections.give_back(taken.pop(), unsure=False)

    taken.append(await asyncio.wait_for(waiting, 5))
    for held in taken:
        await connections.give_back(held, unsure=False)


async def test_after_a_rush_no_more_are_kept_than_the_pool_keeps(connections):
    taken = [await connections.take() for _ in range(MOST)]

    for held in taken:
        await connections.give_back(held, unsure=False)

    pool = connections.engine.pool
    assert pool.checkedin() + pool.checkedout() == KEPT


async def test_what_nobody_knows_the_state_of_is_not_given_again(connections):
    held = await connections.take()
    driver = held.driver_connection

    await connections.give_back(held, unsure=True)

    again = await connections.take()
    assert again.driver_connection is not driver
    await connections.give_back(again, unsure=False)
