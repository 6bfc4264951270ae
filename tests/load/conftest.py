"""Two replicas in processes of their own, before a hub that starts nothing and has room for everybody."""

import pytest

from tests.fakes.fake_hub import FakeHub
from tests.faults.conftest import (  # noqa: F401
    database_url,
    host,
    http,
    hub_timeout,
    hub_url,
    new_replica,
    other_host,
    queue_timeout,
    recent_documents,
    start_timeout,
)
from tests.service.conftest import settings as few_seats  # noqa: F401

SEATS = 60


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub(seats=SEATS)


@pytest.fixture
def settings(few_seats):  # noqa: F811
    return few_seats.model_copy(update={"hub": few_seats.hub.model_copy(update={"seats": SEATS})})


@pytest.fixture
def database_kind() -> str:
    return "postgresql"
