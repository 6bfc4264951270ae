"""How the tests are shared out among workers, and what every test may ask for: databases, each kind of them."""

from pathlib import Path

import pytest

from tests.support.databases import database_kind, databases, run_on_each

__all__ = ["database_kind", "databases"]

_TESTS = Path(__file__).parent

_WHOLE_FOLDERS = {"browsers", "docker", "e2e", "edge", "security"}
"""Each of these starts a whole deployment once; the others start their parts by the file."""

pytest_generate_tests = run_on_each


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the group that a test belongs to; one worker runs a group, in its order."""
    for item in items:
        folder = item.path.parent
        group = folder if folder.name in _WHOLE_FOLDERS else item.path
        item.add_marker(pytest.mark.xdist_group(str(group.relative_to(_TESTS))))
