"""How the tests are shared out among workers, and what every test may ask for: databases, each kind of them."""

from pathlib import PurePosixPath
from typing import Any

import pytest
from playwright.async_api import expect
from xdist.scheduler import LoadScopeScheduling

from tests.support.chromium import chromium_for_all
from tests.support.databases import database_kind, databases, run_on_each
from tests.support.scratch import keep_files_in_memory

__all__ = ["chromium_for_all", "database_kind", "databases"]

_WHOLE_FOLDERS = {"browsers", "docker", "docs", "e2e", "edge", "security"}
"""Each of these starts a whole deployment once; the others start their parts by the file."""

pytest_generate_tests = run_on_each

# Other tests take the processors too: what a page shall show is waited for longer than Playwright's five seconds.
expect.set_options(timeout=20_000)


def pytest_configure() -> None:
    """Choose where files go before the first test, and the first worker, asks for some."""
    keep_files_in_memory()


class _ByParts(LoadScopeScheduling):
    """Has one worker run what shares expensive parts, in its order."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(nodeid.partition("::")[0])
        return str(file.parent if file.parent.name in _WHOLE_FOLDERS else file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByParts:
    """Choose how tests are shared out where there are several workers (`-n`)."""
    return _ByParts(config, log)
