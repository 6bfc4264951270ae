"""Two replicas in processes of their own, on PostgreSQL, before a real hub."""

import pytest

from tests.faults.conftest import database_url, http

__all__ = ["database_url", "http"]


@pytest.fixture
def database_kind() -> str:
    return "postgresql"
