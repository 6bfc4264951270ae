"""One stack for all that the documentation shows, and its readers."""

import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page
from stack import Stack

from tests.docs.following import Reader
from tests.docs.written import DOCS
from tests.support.chromium import chromium
from tests.support.real_hub import free_ports
from tests.support.whole import new_stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = new_stack(tmp_path_factory.mktemp("stack"))
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def port() -> int:
    """Where a module's applications listen, one after the other."""
    return free_ports(1)[0]


@pytest.fixture
def reader(stack: Stack, tmp_path: Path, port: int) -> Reader:
    return Reader.with_a_checkout(stack, tmp_path / "checkout", port)


@pytest.fixture(scope="module")
def samples_key(stack: Stack, port: int, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Register the samples; gives the key that they sign with."""
    registration = (DOCS / "samples" / "hosts.toml").read_text()
    file = tmp_path_factory.mktemp("samples") / "hosts.toml"
    file.write_text(registration.replace("8080", str(port)))
    stack.inset("hosts", "apply", str(file))
    return str(tomllib.loads(registration)["hosts"][0]["keys"][0]["key"])


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with chromium(tmp_path / "profile") as browser:
        yield browser.pages[0]
