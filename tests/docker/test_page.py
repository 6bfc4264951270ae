"""More of the browser's story on the containers: cases of `tests/e2e`, word for word."""

import httpx
import pytest

from tests.docker.deployment import Deployment
from tests.e2e.test_story import (
    test_jupyterlab_is_shown_on_request,
    test_renaming_the_file_in_jupyter_renames_the_analysis,
)

__all__ = ["test_jupyterlab_is_shown_on_request", "test_renaming_the_file_in_jupyter_renames_the_analysis"]

pytestmark = [pytest.mark.docker, pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.fixture
def stack(running: Deployment) -> Deployment:
    """What those know by this name."""
    return running


@pytest.fixture(autouse=True)
def all_ended(api: httpx.AsyncClient) -> httpx.AsyncClient:
    """Have what they leave open ended, as `api` does: those have a stack for themselves."""
    return api
