"""What every test may ask for: databases, each kind of them, and a browser."""

from typing import Any

import hypothesis
import pytest
from playwright.async_api import expect

from tests.support.chromium import chromium_for_all
from tests.support.databases import database_kind, databases, run_on_each
from tests.support.scheduler import ByParts
from tests.support.scratch import keep_files_in_memory

__all__ = ["chromium_for_all", "database_kind", "databases"]

pytest_generate_tests = run_on_each

# Other tests take the processors too: what a page shall show is waited for longer than Playwright's five seconds.
expect.set_options(timeout=20_000)


# The same examples in each run, however long one of them takes beside other tests.
hypothesis.settings.register_profile(
    "inset", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("inset")


def pytest_configure() -> None:
    """Choose where files go before the first test, and the first worker, asks for some."""
    keep_files_in_memory()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByParts:
    """Choose how tests are shared out among workers."""
    return ByParts(config, log)
