"""The whole stack, and a host's site on it, for all browsers."""

from collections.abc import AsyncIterator, Iterator

import pytest
from stack import Stack

from tests.support.site import Site
from tests.support.whole import new_stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = new_stack(tmp_path_factory.mktemp("stack"))
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="package")
def registered(stack: Stack) -> Site:
    return Site.registered(stack)


@pytest.fixture
async def site(registered: Site) -> AsyncIterator[Site]:
    async with registered.served():
        yield registered
