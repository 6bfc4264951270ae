"""For `pytest_plugins = ["inset_client.testkit.pytest_plugin"]` in your `conftest.py`."""

from collections.abc import Iterator

import pytest

from inset_client.testkit.running import RunningFake, fake_inset


@pytest.fixture(name="fake_inset")
def running_fake() -> Iterator[RunningFake]:
    """A fake Inset with nothing in it, on a free port."""
    with fake_inset() as fake:
        yield fake
