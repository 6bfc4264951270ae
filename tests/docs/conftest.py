"""One stack for all that the documentation shows, and its readers."""

import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import documentation
import pytest
from playwright.async_api import Page
from stack import Stack

from tests.docs.following import Reader
from tests.docs.written import DOCS
from tests.support.chromium import NO_THIRD_PARTY_COOKIES, chromium
from tests.support.real_hub import free_ports
from tests.support.whole import new_stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    documentation.install()
    stack = new_stack(tmp_path_factory.mktemp("stack"))
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture
def reader(stack: Stack, tmp_path: Path) -> Reader:
    [port] = free_ports(1)
    return Reader.with_a_checkout(stack, tmp_path / "checkout", port)


@pytest.fixture
def samples_key(reader: Reader) -> str:
    """Register the samples as their page says; gives the key that they sign with."""
    reader.writes("docs/samples/hosts.toml", (DOCS / "samples" / "hosts.toml").read_text())
    reader.runs(".venv/bin/python dev/stack.py hosts apply docs/samples/hosts.toml")
    registered = tomllib.loads((DOCS / "samples" / "hosts.toml").read_text())
    return str(registered["hosts"][0]["keys"][0]["key"])


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with chromium(tmp_path / "profile", NO_THIRD_PARTY_COOKIES) as browser:
        yield browser.pages[0]
