"""One real hub for all tests of its configuration."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.real_hub import RealHub, real_hub


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stock_hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealHub]:
    """With stock servers: nothing here is about the bridge."""
    env = {"INSET_SINGLEUSER_CMD": "jupyterhub-singleuser", "INSET_SEATS": "3"}
    async with real_hub(tmp_path_factory.mktemp("hub"), env) as hub:
        yield hub
